"""The files of the examples: where they come from, and the folder of ComfyUI that they go into."""

from collections.abc import Iterable
from typing import NamedTuple

HUB = "https://huggingface.co"
OURS = "https://github.com/hicache/ComfyUI-HiCache/raw/main/tools/small_models/models"
SMALL = "small_flux_test"


class Model(NamedTuple):
    """What the frontend knows of a file in a folder of models/."""

    name: str
    url: str
    directory: str

    @property
    def folder(self) -> str:
        return f"models/{self.directory}"


class Data(NamedTuple):
    """A file that is no model, and the folder of ComfyUI that it goes into."""

    name: str
    url: str
    folder: str


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


def _ours(directory: str, *names: str) -> tuple[Model, ...]:
    return tuple(Model(name, f"{OURS}/{directory}/{name}", directory) for name in names)


BUNDLED: dict[str, tuple[Model | Data, ...]] = {  # by the value of a widget: with the small Flux, in this repository
    f"{SMALL}.safetensors": _ours("diffusion_models", f"{SMALL}.safetensors"),
    "taef1": _ours("vae_approx", "taef1_decoder.safetensors", "taef1_encoder.safetensors"),
    SMALL: tuple(
        Data(name, f"{OURS}/datasets/{SMALL}/{name}", f"datasets/{SMALL}")
        for name in ("metadata.json", "shard_0000.pkl")
    ),
}
_FILES = {name: (model,) for name, model in MODELS.items()} | BUNDLED


def files_in(values: Iterable[object]) -> list[Model | Data]:
    """What the values of widgets stand for of the files to download, each once."""
    named = (_FILES[value] for value in dict.fromkeys(values) if isinstance(value, str) and value in _FILES)
    return [file for files in named for file in files]


def models_in(values: Iterable[object]) -> list[Model]:
    return [file for file in files_in(values) if isinstance(file, Model)]


def as_list(files: Iterable[Model | Data]) -> str:
    """In Markdown, one line for each folder."""
    folders: dict[str, list[str]] = {}
    for file in files:
        saved_as = "" if file.url.endswith(file.name) else f" as *{file.name}*"
        shown = file.url.rpartition("/")[2]
        folders.setdefault(file.folder, []).append(f"[{shown}]({file.url}){saved_as}")
    return "\n".join(f"- **{folder}**: {', '.join(names)}" for folder, names in folders.items())
