"""The model files of the examples: where they come from, and the folder of ComfyUI's models/ that they go into."""

from collections.abc import Iterable
from typing import NamedTuple

HUB = "https://huggingface.co"


class Model(NamedTuple):
    name: str
    url: str
    directory: str


def _of(directory: str, *urls: str) -> Iterable[Model]:
    return (Model(url.rpartition("/")[2], f"{HUB}/{url}", directory) for url in urls)


_UNION = "FLUX.1-dev-ControlNet-Union-Pro-2.0"
MODELS = {
    model.name: model
    for model in (
        *_of(
            "diffusion_models",
            "Comfy-Org/flux1-dev/resolve/main/flux1-dev.safetensors",
            "Comfy-Org/flux1-kontext-dev_ComfyUI/resolve/main/split_files/diffusion_models/"
            "flux1-dev-kontext_fp8_scaled.safetensors",
            "Comfy-Org/Qwen-Image_ComfyUI/resolve/main/split_files/diffusion_models/qwen_image_fp8_e4m3fn.safetensors",
            "Comfy-Org/Qwen-Image-Edit_ComfyUI/resolve/main/split_files/diffusion_models/"
            "qwen_image_edit_2511_fp8mixed.safetensors",
            "Comfy-Org/Wan_2.2_ComfyUI_Repackaged/resolve/main/split_files/diffusion_models/"
            "wan2.2_t2v_high_noise_14B_fp8_scaled.safetensors",
            "Comfy-Org/Wan_2.2_ComfyUI_Repackaged/resolve/main/split_files/diffusion_models/"
            "wan2.2_t2v_low_noise_14B_fp8_scaled.safetensors",
        ),
        *_of(
            "text_encoders",
            "comfyanonymous/flux_text_encoders/resolve/main/clip_l.safetensors",
            "comfyanonymous/flux_text_encoders/resolve/main/t5xxl_fp16.safetensors",
            "comfyanonymous/flux_text_encoders/resolve/main/t5xxl_fp8_e4m3fn_scaled.safetensors",
            "Comfy-Org/Qwen-Image_ComfyUI/resolve/main/split_files/text_encoders/qwen_2.5_vl_7b_fp8_scaled.safetensors",
            "Comfy-Org/Wan_2.1_ComfyUI_repackaged/resolve/main/split_files/text_encoders/"
            "umt5_xxl_fp8_e4m3fn_scaled.safetensors",
        ),
        *_of(
            "vae",
            "Comfy-Org/Lumina_Image_2.0_Repackaged/resolve/main/split_files/vae/ae.safetensors",
            "Comfy-Org/Qwen-Image_ComfyUI/resolve/main/split_files/vae/qwen_image_vae.safetensors",
            "Comfy-Org/Wan_2.2_ComfyUI_Repackaged/resolve/main/split_files/vae/wan_2.1_vae.safetensors",
        ),
        Model(  # the one that has to be renamed
            f"{_UNION}.safetensors",
            f"{HUB}/Shakker-Labs/{_UNION}/resolve/main/diffusion_pytorch_model.safetensors",
            "controlnet",
        ),
    )
}


def models_in(values: Iterable[object]) -> list[Model]:
    """Of the values of widgets, those that are files to download, each once."""
    return [MODELS[value] for value in dict.fromkeys(values) if isinstance(value, str) and value in MODELS]


def as_list(models: Iterable[Model]) -> str:
    """In Markdown, one line for each folder."""
    folders: dict[str, list[str]] = {}
    for model in models:
        saved_as = "" if model.url.endswith(model.name) else f" as *{model.name}*"
        shown = model.url.rpartition("/")[2]
        folders.setdefault(model.directory, []).append(f"[{shown}]({model.url}){saved_as}")
    return "\n".join(f"- **models/{folder}**: {', '.join(files)}" for folder, files in folders.items())
