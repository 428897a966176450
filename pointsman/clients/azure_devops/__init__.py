"""Azure DevOps over REST 7.1: a thin client that asks once, and says by type of error whether asking again can help."""

from pointsman.clients.azure_devops.client import AzureDevOps
from pointsman.clients.azure_devops.names import unique_name
from pointsman.clients.azure_devops.tracker import Tracker

__all__ = ["AzureDevOps", "Tracker", "unique_name"]
