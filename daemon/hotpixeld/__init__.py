"""hotpixeld: find a camera's defective pixels in ordinary photos and write repaired copies."""

__version__ = "0.1.0"
