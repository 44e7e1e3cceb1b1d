"""Develops a photograph: tone curve, unsharp mask, vignette and saturation, in plain NumPy and in fused kernels.

The unsharp mask reads the toned image at shifted places. To compute the tone curve anew at each of them would cost more than
to read it, so the fusion pass stops there: the functions below become three kernels, and --explain shows why.
"""

import sys
from pathlib import Path

import numpy as np
from _show import arguments, compare, table

import numfuse

EPILOG = """examples:
  python examples/photo.py                   times, and the developed photograph as photo.png
  python examples/photo.py --out china.png   the same, under another name
  python examples/photo.py --explain         what it becomes, stage by stage, for the CPU and for CUDA
"""

LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)


def tone_curve(photo, exposure):
    """To light, over a curve that keeps bright parts from burning out (Narkowicz, 2016), and back. A gamma of 2 will do."""
    light = exposure * photo**2
    curve = light * (2.51 * light + 0.03) / (light * (2.43 * light + 0.59) + 0.14)
    return np.sqrt(np.clip(curve, 0, 1))


def blur(image):
    """Weights 1 4 6 4 1, down the rows and then along them. The result lacks two pixels on each side."""
    rows, columns = image.shape[0] - 4, image.shape[1] - 4
    a, b, c, d, e = [image[k : k + rows] for k in range(5)]
    down = (a + 4 * b + 6 * c + 4 * d + e) / 16
    a, b, c, d, e = [down[:, k : k + columns] for k in range(5)]
    return (a + 4 * b + 6 * c + 4 * d + e) / 16


def vignette(rows, columns):
    """How dark the corners are. It depends on no argument, so numfuse computes it once, while it traces."""
    y = np.linspace(-1, 1, rows, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, columns, dtype=np.float32)
    return 1 / (1 + 0.2 * (x * x + y * y)) ** 2


def develop(photo, exposure, sharpness, saturation):
    """photo: (rows, columns, 3) of float32 from 0 to 1. Returns the same, without two pixels on each side."""
    toned = tone_curve(photo, exposure)
    middle = toned[2:-2, 2:-2]
    sharp = middle + sharpness * (middle - blur(toned))
    dimmed = sharp * vignette(*sharp.shape[:2])[:, :, None]
    grey = (dimmed @ LUMINANCE)[:, :, None]
    return np.clip(grey + saturation * (dimmed - grey), 0, 1)


def explain(fused, *args):
    """Prints the function's stages, from the graph as it was traced to the kernels."""
    lowered = fused.lower(*args, target="cpu")
    show("graph as traced", fused.trace(*args).as_text())
    show("graph after the passes", lowered.graph.as_text())
    show("kernels, and where fusion stopped", lowered.explain())
    show("CPU kernels", "\n\n".join(kernel.source.strip() for kernel in lowered.kernels))
    lowered = fused.lower(*args, target="cuda", arch="sm_90")
    try:
        rows = [(kernel.name, *kernel.resources.values()) for kernel in lowered.kernels]
        show("CUDA kernels for sm_90", table(("kernel", *lowered.kernels[0].resources), rows))
    except RuntimeError as error:  # the cuda extra is not installed
        show("CUDA kernels for sm_90", f"not compiled: {error}")


def show(title, text):
    print(f"==== {title}\n\n{text}\n")


def main():
    parser = arguments(__doc__.split("\n")[0], EPILOG)
    parser.add_argument("--out", type=Path, default="photo.png", help="where the PNG goes (default: photo.png)")
    parser.add_argument(
        "--explain", action="store_true", help="print the graphs, the kernels and their resources first"
    )
    options = parser.parse_args()
    try:
        from PIL import Image
        from sklearn.datasets import load_sample_image
    except ImportError:
        print("photo.py needs scikit-learn and pillow: pip install 'numfuse[examples]'", file=sys.stderr)
        return 1

    photo = load_sample_image("china.jpg").astype(np.float32) / 255
    fused = numfuse.jit(develop)
    args = (photo, 1.2, 0.8, 1.15)
    if options.explain:
        explain(fused, *args)
    right = compare(develop, fused, *args, tolerance=1e-5)
    picture = Image.fromarray((255 * fused(*args) + 0.5).astype(np.uint8))
    try:
        picture.save(options.out, format="PNG")
    except OSError as error:
        print(f"photo.py: {error}", file=sys.stderr)
        return 1
    print(f"wrote {options.out}")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
