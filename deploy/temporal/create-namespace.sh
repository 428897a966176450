#!/bin/sh
# Create the namespace with its retention, and register our search attributes. May run again at any time:
# what exists stays, and a changed retention is taken over.
# TEMPORAL_ADDRESS is read by the `temporal` command itself. So is TEMPORAL_NAMESPACE, but not by the commands about
# namespaces, which would silently take `default`: there it is said.
set -eu
: "${TEMPORAL_NAMESPACE:?is not set}" "${NAMESPACE_RETENTION:?is not set}"

# The names in `pointsman/temporal.py`, all of type Keyword; a test compares them.
SEARCH_ATTRIBUTES="WorkItemState WorkItemType Project Tenant Agent Severity CorrelationId"
ATTEMPTS=30

try() {
    attempt=1
    until "$@" >/dev/null 2>&1; do
        if [ "$attempt" -ge "$ATTEMPTS" ]; then
            echo "gave up after $ATTEMPTS attempts: $*" >&2
            "$@" # once more, so that its own error is seen
            return 1
        fi
        attempt=$((attempt + 1))
        sleep 2
    done
}

missing_attributes() {
    known=$(temporal operator search-attribute list)
    for name in $SEARCH_ATTRIBUTES; do
        echo "$known" | grep -qw "$name" || echo "$name"
    done
}

register_missing() {
    missing=$(missing_attributes)
    [ -n "$missing" ] || return 0
    set --
    for name in $missing; do
        set -- "$@" --name "$name" --type Keyword # one type for each name, or the command drops names in silence
    done
    temporal operator search-attribute create "$@"
}

try temporal operator cluster health

if temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1; then
    temporal operator namespace update --namespace "$TEMPORAL_NAMESPACE" --retention "$NAMESPACE_RETENTION"
else
    temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$NAMESPACE_RETENTION"
fi

# The server's roles learn of a namespace when they next refresh their list of them.
try temporal operator search-attribute list
try register_missing
[ -z "$(missing_attributes)" ] || { echo "still missing: $(missing_attributes)" >&2; exit 1; }
echo "namespace $TEMPORAL_NAMESPACE is ready, with: $SEARCH_ATTRIBUTES"
