"""Look for secrets in what git tracks: `python -m tests.gates.secret_scan`.

A line that only looks like one says so: `pragma: allowlist secret`. Names no secret it finds, only where it is.
"""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from detect_secrets.core.secrets_collection import SecretsCollection
from detect_secrets.settings import transient_settings

# Hexadecimal entropy is left out: content hashes and pinned packages are full of it.
PLUGINS = (
    "ArtifactoryDetector", "AWSKeyDetector", "AzureStorageKeyDetector", "BasicAuthDetector", "CloudantDetector",
    "DiscordBotTokenDetector", "GitHubTokenDetector", "GitLabTokenDetector", "JwtTokenDetector", "KeywordDetector",
    "MailchimpDetector", "NpmDetector", "OpenAIDetector", "PrivateKeyDetector", "PypiTokenDetector",
    "SendGridDetector", "SlackDetector", "SquareOAuthDetector", "StripeDetector", "TelegramBotTokenDetector",
    "TwilioKeyDetector",
)  # fmt: skip
FILTERS = (
    "detect_secrets.filters.regex.should_exclude_secret",
    "detect_secrets.filters.allowlist.is_line_allowlisted",
    "detect_secrets.filters.heuristic.is_indirect_reference",
    "detect_secrets.filters.heuristic.is_not_alphanumeric_string",
    "detect_secrets.filters.heuristic.is_prefixed_with_dollar_sign",
    "detect_secrets.filters.heuristic.is_sequential_string",
    "detect_secrets.filters.heuristic.is_templated_secret",
)
PLACE_HOLDER = "^[A-Z_]+$"  # as in USER:PASSWORD@HOST
BINARY = frozenset({".png", ".ico", ".woff2", ".gz"})


def findings(root: Path, files: Iterable[str]) -> list[str]:
    """`file:line: kind` of each thing that looks like a secret. Paths are relative to `root`."""
    settings = {
        "plugins_used": [{"name": name} for name in PLUGINS],
        "filters_used": [{"path": path, "pattern": [PLACE_HOLDER]} for path in FILTERS],
    }
    wanted = [name for name in files if Path(name).suffix not in BINARY]
    with transient_settings(settings):
        secrets = SecretsCollection(root=str(root))
        for name in wanted:
            secrets.scan_file(name)
    return sorted(f"{name}:{secret.line_number}: {secret.type}" for name, secret in secrets)


def tracked(root: Path) -> list[str]:
    listed = subprocess.run(["git", "-C", root, "ls-files", "-z"], capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split("\0") if name and (root / name).is_file()]


def main() -> int:
    files = tracked(Path())
    lines = findings(Path(), files)
    print("\n".join(lines) or f"secrets: none in {len(files)} files")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
