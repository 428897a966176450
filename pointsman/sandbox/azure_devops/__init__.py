"""A stand-in for Azure DevOps: work items and service hooks on the real wire format, in memory, on loopback.

It does what the service is known to do, its traps included, and offers a control API under `/_sandbox/` that the
service does not have: faults, the order of deliveries, evidence. Where the service's behaviour is not known for
certain, the docstring of the place says so.
"""

from pointsman.sandbox.azure_devops.app import create_app
from pointsman.sandbox.azure_devops.config import (
    Account,
    Identity,
    Organisation,
    Principal,
    Project,
    SandboxConfig,
    demo_config,
    large_config,
)
from pointsman.sandbox.azure_devops.server import running, serve

__all__ = [
    "Account",
    "Identity",
    "Organisation",
    "Principal",
    "Project",
    "SandboxConfig",
    "create_app",
    "demo_config",
    "large_config",
    "running",
    "serve",
]
