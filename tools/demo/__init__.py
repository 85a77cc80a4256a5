"""The pack at work in a real server: five ways to sample six pictures, measured and drawn."""
