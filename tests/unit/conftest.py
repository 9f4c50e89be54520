"""A timing never decides about a test: hypothesis has no deadline for its examples."""

from hypothesis import settings

settings.register_profile("noref", deadline=None)
settings.load_profile("noref")
