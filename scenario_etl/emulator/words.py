"""Texts and numbers of the generated records, and prompts that are composed of them."""

import random
from typing import NamedTuple

STYLES = (
    "hand-painted, thick outlines, saturated palette", "painterly concept art, soft rim light",
    "low-poly, flat shading, pastel palette", "cel-shaded, crisp shadows, two-tone lighting",
    "isometric, orthographic camera, clean edges", "photoreal, 50 mm lens, shallow depth of field",
    "pixel art, 32 colors, no dithering", "stylized PBR, subsurface scattering, studio light",
)  # fmt: skip
SUBJECTS = (
    "a moss-covered stone golem guarding a shrine", "an arctic ranger with a fur-lined cloak and a bone bow",
    "a clockwork owl with brass feathers", "a neon ramen stall in a rain-soaked alley",
    "a treasure chest overflowing with glowing crystals", "a goblin merchant behind a counter of potions",
    "a floating island with waterfalls and a ruined temple", "a set of six runic shields, front view",
    "a pirate brig under full sail at sunset", "a sleeping dragon curled around a bell tower",
    "an alchemist's workbench with scattered herbs", "a cyberpunk courier on a hoverbike",
)  # fmt: skip
DETAILS = (
    "centered composition on a plain background, no text, no watermark",
    "dramatic back light with volumetric fog between the foreground and the distant mountains",
    "readable silhouette at 64 pixels, strong value contrast, consistent with the style guide of season four",
    "three quarter view, worn leather and scratched metal, small props hanging from the belt",
    "wide establishing shot, tiny figures for scale, birds in the distance, late afternoon",
    "matching the color script of the second act: teal shadows, amber highlights, desaturated mid-tones",
)  # fmt: skip
NEGATIVE = "blurry, low contrast, extra fingers, cropped, jpeg artifacts, text, logo, watermark, duplicated limbs"
CAPTIONS = (
    "The image shows {0}. The light comes from the upper left, and the background fades to a muted gradient.",
    "A digital painting of {0}, with visible brush strokes and a limited palette.",
    "{0}, seen from a slightly raised camera. There is no text in the image.",
)  # fmt: skip
ERRORS = (
    "The model returned no output: please try again with another prompt",
    "Moderation: the prompt was flagged as inappropriate",
    "Timeout: the job did not finish within 900 seconds",
    "Invalid input image: dimensions exceed 4096 x 4096 pixels",
)  # fmt: skip
TAGS = (
    "approved", "armor", "boss", "character", "concept", "creature", "environment", "final", "icon", "key art",
    "marketing", "npc", "prop", "reference", "season 4", "shop", "texture", "ui", "vehicle", "weapon",
)  # fmt: skip
NSFW = ("suggestive", "violence", "blood")
PEOPLE = (
    "Ada Okafor", "Ben Lindqvist", "Chiara Rossi", "Dmitri Volkov", "Elif Kaya", "Femi Adeyemi", "Grace Park",
    "Hugo Moreau", "Ines Carvalho", "Jonas Weber",
)  # fmt: skip
CUSTOM_TYPES = ("flux.1-lora", "flux.2-dev-lora", "qwen-image-lora", "zimage-turbo-lora", "flux.1-kontext-lora")
PLATFORM_MODELS = (
    ("flux.1-dev", "FLUX.1 Dev", "flux.1"), ("flux.1-schnell", "FLUX.1 Schnell", "flux.1"),
    ("flux.1-kontext-dev", "FLUX.1 Kontext", "flux.1-kontext-dev"), ("flux.1.1-pro-ultra", "FLUX 1.1 Ultra",
    "flux.1.1-pro-ultra"), ("gpt-image-1", "GPT Image", "gpt-image-1"), ("qwen-image", "Qwen Image", "custom"),
    ("seedream-4", "Seedream 4", "custom"), ("imagen-4", "Imagen 4", "custom"), ("veo-3", "Veo 3", "custom"),
    ("kling-2.5", "Kling 2.5", "custom"), ("hunyuan-3d-2.1", "Hunyuan 3D", "custom"), ("trellis", "Trellis", "custom"),
    ("elevenlabs-sfx", "Sound Effects", "custom"), ("recraft-v3", "Recraft", "custom"), ("topaz", "Upscaler", "custom"),
    ("bria-rmbg", "Background Removal", "custom"),
)  # fmt: skip


class Work(NamedTuple):
    """A kind of work that produces assets.

    Attributes:
        weight: Relative frequency.
        job_type: Type of the job; empty for uploads.
        type: Type in the metadata of the assets.
        source: Source of the assets.
        kind: Kind of the assets.
        sizes: Possible numbers of assets per job or upload.
        seconds: Minimum duration of a job.
        has_parent: Whether the assets are made from an earlier image of the project.
        model: Model of the platform; empty to choose one for images.

    """

    weight: int
    job_type: str
    type: str
    source: str
    kind: str
    sizes: tuple[int, ...]
    seconds: int
    has_parent: bool = False
    model: str = ""


WORKS = (
    Work(44, "inference", "inference-txt2img", "inference-txt", "image", (2, 4, 4, 4, 8), 8),
    Work(8, "custom", "txt2img", "txt2img", "image", (1, 2, 4), 15),
    Work(7, "image-prompt-editing", "image-prompt-editing", "image-prompt-editing", "image", (1, 2), 12, True),
    Work(9, "upscale", "upscale", "upscale", "image", (1,), 30, True, "topaz"),
    Work(8, "remove-background", "background-removal", "background-removal", "image", (1,), 4, True, "bria-rmbg"),
    Work(6, "custom", "img2video", "img2video", "video", (1,), 90, True, "veo-3"),
    Work(3, "custom", "img23d", "img23d", "3d", (1,), 120, True, "hunyuan-3d-2.1"),
    Work(2, "custom", "txt2audio", "txt2audio", "audio", (1, 2), 10, False, "elevenlabs-sfx"),
    Work(3, "workflow", "img2img", "img2img", "image", (1, 2, 3), 60, True),
    Work(9, "", "uploaded", "uploaded", "image", (1, 1, 3, 6, 12), 0),
    Work(1, "", "uploaded-video", "uploaded-video", "video", (1,), 0),
)
BULK_UPLOAD = Work(0, "", "uploaded", "uploaded", "image", (120,), 0)
MIME_TYPES = {"image": "image/png", "video": "video/mp4", "3d": "model/gltf-binary", "audio": "audio/mpeg"}
ORIGINAL_MIME_TYPES = {"video": "video/quicktime", "3d": "model/x-fbx", "audio": "audio/wav"}
EDITS = {
    "image": [
        "DETECTION", "GENERATIVE_FILL", "PIXELATE", "PROMPT_EDITING", "REFINE", "REFRAME", "REMOVE_BACKGROUND",
        "SEGMENTATION", "UPSCALE", "VECTORIZATION",
    ],
    "video": ["UPSCALE"],
}  # fmt: skip
SIZES = (
    (1024, 1024, "1:1"), (1024, 1024, "1:1"), (1344, 768, "16:9"), (768, 1344, "9:16"), (1152, 896, "5:4"),
    (2048, 2048, "1:1"),
)  # fmt: skip


def prompt_of(seed: str) -> str:
    """Return the prompt of a job."""
    rng = random.Random(f"{seed} prompt")  # noqa: S311
    details = ", ".join(rng.sample(DETAILS, 2 + rng.randrange(3)))
    return f"{rng.choice(SUBJECTS)}, {rng.choice(STYLES)}, {details}"
