#!/usr/bin/env bash
# From a fresh Debian 12 to streamed answers: installs packages, builds, fetches the default model, asks it twice.
source "$(dirname "$0")/lib.sh"

port="${PORT:-8080}"
worker_log="$(mktemp -t llm-worker-rbee.XXXXXX.log)"
worker=''
stop_worker() {
  [[ -n $worker ]] && kill "$worker" 2>/dev/null && wait "$worker" 2>/dev/null
  worker=''
}
trap 'stop_worker || true; rm -f "$worker_log"' EXIT

step "1/5 Packages"
install_packages "${build_packages[@]}" "${run_packages[@]}"

step "2/5 Build (release)"
build release llm-worker-rbee

step "3/5 Model (SmolLM2-135M-Instruct Q4_1, 94 MiB)"
scripts/fetch_model.sh

step "4/5 Worker on 127.0.0.1:$port"
build/release/bin/llm-worker-rbee serve --local-mode --port "$port" --model smollm2:135m --worker-id quickstart >"$worker_log" 2>&1 &
worker=$!
base="http://127.0.0.1:$port"
for ((i = 0; i < 300; i++)); do
  curl -sf "$base/health" >/dev/null && break
  kill -0 "$worker" 2>/dev/null || {
    cat "$worker_log" >&2
    fail "the worker did not start" "Its log is above. Is port $port taken? Try PORT=8099 $0"
  }
  sleep 0.1
done
curl -sf "$base/health" >/dev/null || { cat "$worker_log" >&2; fail "the worker is not ready after 30 s" "Its log is above."; }
echo "ready: $(curl -sf "$base/health")"

# Prints the text in an event stream as it arrives: shows FILTER's result for each data line.
show_stream() {
  sed -un 's/^data: //p' | grep --line-buffered -v '^\[DONE\]' | jq --unbuffered -rj "$1"
  echo
}

step "5/5 Two questions"
echo "${bold}POST /v1/chat/completions${plain} \"Name three primary colors.\""
curl -sN --fail-with-body "$base/v1/chat/completions" -H 'Content-Type: application/json' -d '{
  "model": "smollm2:135m", "stream": true, "max_tokens": 64, "temperature": 0,
  "messages": [{"role": "user", "content": "Name three primary colors."}]}' |
  show_stream '.choices[0].delta.content // empty' || fail "the chat request failed" "See the message above."

echo "${bold}POST /v1/jobs${plain} \"Once upon a time\""
job="$(curl -s --fail-with-body "$base/v1/jobs" -H 'Content-Type: application/json' -d '{
  "operation": "infer", "hive_id": "quickstart", "model": "smollm2:135m",
  "prompt": "Once upon a time", "max_tokens": 64, "temperature": 0}')" || fail "the job was refused: $job" ""
events="$(mktemp)"
curl -sN --fail-with-body "$base$(jq -r .sse_url <<<"$job")" | tee "$events" | show_stream 'select(.type == "token").t'
sed -n 's/^data: //p' "$events" | jq -rR 'fromjson? | select(.type == "end") |
  "\(.tokens_out) tokens in \(.decode_time_ms) ms: \(if .decode_time_ms > 0 then (.tokens_out * 1000 / .decode_time_ms | floor) else "?" end) tokens/s"'
rm -f "$events"
awk '/^VmRSS/ {printf "memory: %.0f MiB resident\n", $2 / 1024}' "/proc/$worker/status"

stop_worker || true
echo "stopped the worker. Next: build/release/bin/llm-worker-rbee run smollm2:135m"
