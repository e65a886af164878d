#!/usr/bin/env bash
# Checks the chart: helm's own rules, and what it renders against Kubernetes' schemas. Needs helm
# (`go install helm.sh/helm/v3/cmd/helm@latest`) and kubernetes-validate (`pip install kubernetes-validate`).
set -euo pipefail
cd "$(dirname "$0")"

rendered=$(mktemp --suffix .yaml)
trap 'rm -f "$rendered"' EXIT

# check NAME [ARGUMENTS]: the chart with values.
check() {
    echo "== $1"
    shift
    for version in 1.27.0 1.37.0; do
        helm lint --quiet --strict --kube-version "$version" . "$@"
        helm template tacit . --kube-version "$version" "$@" > "$rendered"
        kubernetes-validate --strict --kubernetes-version "$version" "$rendered"
    done
}

check "one replica"
check "replicas that scale" --set autoscaling.enabled=true
check "class only, variables, no policy" --set models.m2.classOnly=true --set server.env.TACIT_THREADS=4 \
    --set networkPolicy.enabled=false --set replicas=3 --set 'networkPolicy.from[0].podSelector.matchLabels.app=web'

if helm template tacit . --kube-version 1.37.0 --set models=null > /dev/null 2>&1; then
    echo "a chart without models must be refused" >&2
    exit 1
fi
