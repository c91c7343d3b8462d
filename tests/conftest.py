"""What all tests share: Hypothesis judges what is found, and never how long a busy machine takes for it."""

from __future__ import annotations

from hypothesis import HealthCheck, settings


# Under CI=true its own profile does the same, and draws the same every time.
if settings.get_current_profile_name() == "default":
    settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("patient")
