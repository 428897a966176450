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
    "ArtifactoryDetector", "AWSKeyDetector", "AzureStorageKeyDetector", "CloudantDetector",
    "DiscordBotTokenDetector", "GitHubTokenDetector", "GitLabTokenDetector", "JwtTokenDetector",
    "MailchimpDetector", "NpmDetector", "OpenAIDetector", "PrivateKeyDetector", "PypiTokenDetector",
    "SendGridDetector", "SlackDetector", "SquareOAuthDetector", "StripeDetector", "TelegramBotTokenDetector",
    "TwilioKeyDetector",
)  # fmt: skip
# What looks like a password by its name or place is one, except in tests, which have to invent some.
OUTSIDE_TESTS = ("BasicAuthDetector", "KeywordDetector")
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
    wanted = [name for name in files if Path(name).suffix not in BINARY]
    tests = [name for name in wanted if name.startswith("tests/")]
    others = [name for name in wanted if not name.startswith("tests/")]
    return sorted([*_scan(root, tests, PLUGINS), *_scan(root, others, PLUGINS + OUTSIDE_TESTS)])


def _scan(root: Path, files: Iterable[str], plugins: Iterable[str]) -> list[str]:
    settings = {
        "plugins_used": [{"name": name} for name in plugins],
        "filters_used": [{"path": path, "pattern": [PLACE_HOLDER]} for path in FILTERS],
    }
    with transient_settings(settings):
        secrets = SecretsCollection(root=str(root))
        for name in files:
            secrets.scan_file(name)
    return [f"{name}:{secret.line_number}: {secret.type}" for name, secret in secrets]


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
