"""What holds for every test."""

from hypothesis import settings

# A busy machine is slow, not wrong: how long an example takes is no finding.
settings.register_profile("hotpixeld", deadline=None)
settings.load_profile("hotpixeld")
