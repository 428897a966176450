"""Properties are judged by their truth, not by the clock of a busy machine; fifty examples find what they look for."""

from hypothesis import settings

settings.register_profile("unhurried", deadline=None, max_examples=50)
settings.load_profile("unhurried")
