#!/usr/bin/env bash
# The loop of a worker with bash, curl and jq: claim, run, keep the lease, report.
#
#     bash examples/worker.sh http://127.0.0.1:8710
#
# It ends when there has been nothing to do for 30 s. A tool is what the function `tool` says; what the server sends
# is an argument, and never a command.
set -euo pipefail
server="${1:-http://127.0.0.1:8710}/v1/execution-requests"
wait="${WAIT:-30}"
beat="${HEARTBEAT:-20}" # seconds between heartbeats: a third of the lease
exec {never}<> <(:) # nothing ever comes: a `sleep` that leaves no process behind when its loop is killed
auth=()
if [[ -n "${SIGNALBOX_KEY:-}" ]]; then auth=(-H "Authorization: Bearer $SIGNALBOX_KEY"); fi

post() { curl -sS --fail-with-body -X POST -H 'Content-Type: application/json' "${auth[@]}" "${@:3}" -d "$2" "$server$1"; }

tool() { # the tool's id, then the prompt
  case "$1" in
    git) git --no-pager diff --stat HEAD ;;
    echo) printf '%s\n' "$2" ;;
    *) return 127 ;;
  esac
}

while
  claimed="$(post /claim '{"worker_id":"worker.sh","tools":["git","echo"]}' -H "Prefer: wait=$wait")" || {
    echo "There is no claim to be had from $server. $claimed" >&2
    exit 1
  }
  [[ -n "$claimed" ]] # 204: there is nothing to do
do
  id="$(jq -r '.items[0].execution_request.request_id' <<<"$claimed")"
  token="$(jq -c '.items[0] | { lease_token }' <<<"$claimed")"
  tool_id="$(jq -r '.items[0].execution_request.assignment.tool_id' <<<"$claimed")"
  prompt="$(jq -r '.items[0].execution_request.input.prompt // ""' <<<"$claimed")"

  # One that fails says so, and is made up for by the next: the lease lasts for three.
  while ! read -rt "$beat" -u "$never"; do post "/$id/heartbeat" "$token" || true; done >/dev/null &
  heart=$!
  code=0
  out="$(tool "$tool_id" "$prompt" 2>&1 | tail -c 20000 | tr -d '\000' | iconv -c -f utf-8 -t utf-8)" || code=$?
  kill "$heart" || true # whatever has become of it, the work is done

  report="$(jq -c --arg out "$out" --argjson code "$code" '. + { stdout_tail: $out, exit_code: $code }' <<<"$token")"
  if ((code == 0)); then
    post "/$id/complete" "$report" >/dev/null
  else
    post "/$id/fail" "$(jq -c '. + { error: { class: "tool_error" } }' <<<"$report")" >/dev/null
  fi
done
