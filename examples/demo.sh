#!/bin/sh
# The main job on real artifacts, in a store that is thrown away afterwards. Each line that begins with $ is what you would type.
set -eu
cd "$(dirname "$0")"
# Nothing of yours is touched: only the settings made here count.
unset CASSTORE_BLOBS CASSTORE_CATALOG CASSTORE_TENANT
CASSTORE_HOME=$(mktemp -d)
export CASSTORE_HOME
trap 'rm -rf "$CASSTORE_HOME"' EXIT
run() { printf '\n$ %s\n' "$*"; "$@"; }

echo "A workflow, an SOP, a picture under two names, a blueprint of four parts: every version of each goes into a new store."
run casstore import artifacts
run casstore ls
run casstore log workflow_bpmn/loan-approval
run casstore show blueprint/node-swap@3

echo
echo "Back by name@version, and compared byte for byte with the file it came from:"
run casstore get blueprint/node-swap@2#roadmap --output "$CASSTORE_HOME/roadmap.md"
run cmp "$CASSTORE_HOME/roadmap.md" artifacts/blueprint/node-swap/v0002/roadmap.md
echo "equal"
run casstore alias workflow_bpmn/loan-approval@2 prod
run casstore get workflow_bpmn/loan-approval@prod --output "$CASSTORE_HOME/prod.bpmn"
run cmp "$CASSTORE_HOME/prod.bpmn" artifacts/workflow_bpmn/loan-approval/v0002.bpmn
echo "equal"

echo
echo "One picture, two names, stored once:"
run casstore where-used visual/a1-in-adonis-8

