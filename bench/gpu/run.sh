#!/usr/bin/env bash
# Proof and figures of the CUDA backend, on a machine with an NVIDIA GPU (driver 580 or newer), bash, coreutils and
# what `npm run gpu:bundle` packed; nothing else is needed, and what else is there (PyTorch, Nsight) is used.
#
#   bench/gpu/run.sh [--limit SECONDS] [--out FOLDER] [--from FILE] [--only STAGE,...] [--skip STAGE,...]
#
#   --limit   everything ends in this time; 1500 by default
#   --out     results.json and log.txt go here; a stage that is complete in it is not run again. Default: gpu-results
#   --from    results.json of an earlier run, to go on with where FOLDER has none
#   --only    these stages of: environment parity timings steps peers sanitizer training kernels
#
# Exit code: 0, 1 where something was found wrong, 2 for wrong arguments or a bad bundle, 3 without a usable GPU.
set -u

stages=(environment parity timings steps peers sanitizer training kernels)
# How the time is shared out; what a stage leaves goes to those after it.
declare -A weights=([environment]=0 [parity]=25 [timings]=12 [steps]=8 [peers]=25 [sanitizer]=16 [training]=8 [kernels]=6)
restart=75
no_device=3
attempts=6

limit=1500 out=gpu-results from='' only='' skip=''
stop() {
  echo "bench/gpu: $1" >&2
  exit 2
}
# The comment at the top.
usage() {
  local line
  while IFS= read -r line && [[ $line == '#'* ]]; do
    [[ $line == '#!'* ]] || echo "${line#\#}"
  done <"${BASH_SOURCE[0]}"
}
while (($# > 0)); do
  case $1 in
    --limit | --out | --from | --only | --skip)
      (($# > 1)) || stop "$1 needs a value"
      printf -v "${1#--}" %s "$2"
      shift 2
      ;;
    --help | -h)
      usage
      exit 0
      ;;
    *) stop "unknown option $1; --help lists them" ;;
  esac
done
[[ $limit =~ ^[0-9]+$ ]] && ((limit >= 30)) || stop "--limit must be a whole number of at least 30 seconds"
for name in ${only//,/ } ${skip//,/ }; do
  [[ -n ${weights[$name]:-} ]] || stop "no stage is named '$name'; there are: ${stages[*]}"
done

# --- The bundle: beside this script where it is a part of one, else where npm run gpu:bundle puts it ---

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bundle=${SPHERENET_GPU_BUNDLE:-$here}
[[ -f $bundle/manifest.json ]] || bundle=$here/../../build/gpu-bundle
[[ -f $bundle/manifest.json ]] || stop "no bundle in $bundle: make one with npm run gpu:bundle"
bundle=$(cd "$bundle" && pwd)

mkdir -p "$out" || stop "cannot write to $out"
out=$(cd "$out" && pwd)
work=${SPHERENET_GPU_WORK:-${TMPDIR:-/tmp}/spherenet-gpu-$(id -u)}
mkdir -p "$work" || stop "cannot write to $work"
if [[ -n $from ]]; then
  [[ -f $from ]] || stop "--from: there is no file $from"
  [[ -f $out/results.json ]] || cp "$from" "$out/results.json"
fi

# Programs are copied, for they may have lost their executable bit on the way here.
place() {
  [[ -f $bundle/$1 ]] || return 1
  cp "$bundle/$1" "$work/$1.new" && chmod +x "$work/$1.new" && mv "$work/$1.new" "$work/$1"
}

unpack_node() {
  if [[ -x $work/node && -f $work/manifest.json && $(<"$bundle/manifest.json") == "$(<"$work/manifest.json")" ]]; then
    return
  fi
  if command -v xz >/dev/null; then
    xz -dc "$bundle/node.xz" >"$work/node.new"
  else
    mkdir -p "$work/lib" && cp "$bundle"/lib/* "$work/lib/" && place xz
    LD_LIBRARY_PATH=$work/lib "$work/xz" -dc "$bundle/node.xz" >"$work/node.new"
  fi || stop "could not unpack $bundle/node.xz"
  chmod +x "$work/node.new" && mv "$work/node.new" "$work/node" && cp "$bundle/manifest.json" "$work/manifest.json"
}
unpack_node
if ! "$work/node" --version >/dev/null 2>&1; then
  # No C++ library here, or one too old: the bundle has Node's.
  mkdir -p "$work/lib" && cp "$bundle"/lib/* "$work/lib/"
  export LD_LIBRARY_PATH=$work/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  "$work/node" --version >/dev/null || stop "Node does not start on this system"
fi
export SPHERENET_BINDING=${SPHERENET_BINDING:-$bundle/spherenet.node}

# cuDNN's baseline: packed where cuDNN's headers were found when the bundle was made, else compiled here.
build_baseline() {
  place cudnn_baseline && return
  command -v nvcc >/dev/null || return
  local includes=(/usr/include /usr/include/x86_64-linux-gnu /usr/local/cuda/include) folder
  if command -v python3 >/dev/null; then
    while IFS= read -r folder; do includes+=("$folder/nvidia/cudnn/include"); done < <(
      python3 -c 'import sys; print("\n".join(p for p in sys.path if p.endswith("-packages")))' 2>/dev/null
    )
  fi
  for folder in "${includes[@]}"; do
    [[ -f $folder/cudnn.h ]] || continue
    echo "compiling cudnn_baseline with $folder/cudnn.h"
    timeout 120 nvcc -std=c++20 -O2 -I "$folder" -o "$work/cudnn_baseline" "$bundle/cudnn_baseline.cc" -ldl
    return
  done
}

# --- The stages ---

main() { "$work/node" "$bundle/dist/bench/gpu/main.js" "$@" --out "$out" --work "$work"; }
say() { tee -a "$out/log.txt"; }

is_wanted() {
  [[ -z $only || ,$only, == *,$1,* ]] && [[ ,$skip, != *,$1,* ]]
}

# Seconds for a stage, of those that are left for it and all that come after it. Without the first there is no other.
share_of() {
  [[ $1 != environment ]] || { echo 30; return; }
  local sum=0 name seen=''
  for name in "${stages[@]}"; do
    [[ $name == "$1" ]] && seen=1
    [[ -n $seen ]] && is_wanted "$name" && ((sum += weights[$name]))
  done
  echo $(((limit - SECONDS - 8) * weights[$1] / sum))
}

# One stage with its restarts. Answers what the last attempt ended with.
run_stage() {
  local stage=$1 share end seconds attempt code=0
  share=$(share_of "$stage")
  end=$((SECONDS + share))
  for ((attempt = 1; attempt <= attempts; ++attempt)); do
    seconds=$((end - SECONDS))
    if ((seconds < 4)); then
      ((attempt > 1)) || main note "$stage: not begun, the time was over"
      return "$code"
    fi
    echo "== $stage, $seconds s" | say
    timeout --kill-after=5 $((seconds + 15)) "$work/node" "$bundle/dist/bench/gpu/main.js" "$stage" \
      --out "$out" --work "$work" --seconds "$seconds" 2>&1 | say
    code=${PIPESTATUS[0]}
    if ((SECONDS >= end + 14)); then
      main note "$stage: did not end in its time and was stopped"
      return "$code"
    fi
    case $code in
      0 | "$no_device") return "$code" ;;
      "$restart") echo "  the device was lost; another process goes on" | say ;;
      *)
        main note "$stage: attempt $attempt ended with exit code $code"
        # An error that was caught and told comes again; a crash leaves a mark, and what crashed is left out then.
        ((code != 1 || attempt < 2)) || return "$code"
        ;;
    esac
  done
  main note "$stage: given up after $attempts attempts"
  return "$code"
}

main begin 2>&1 | say
build_baseline 2>&1 | say
interrupted=''
trap 'interrupted=1' INT TERM
for stage in "${stages[@]}"; do
  is_wanted "$stage" || continue
  [[ -z $interrupted ]] || break
  # What the machine is has to be known anew where an earlier run's results are gone on with: it is asked every time.
  if [[ $stage != environment ]] && main is-complete "$stage"; then
    echo "== $stage: done before" | say
    continue
  fi
  run_stage "$stage"
  code=$?
  ((code != no_device)) || exit "$no_device"
done
[[ -z $interrupted ]] || main note 'interrupted'

main report 2>&1 | say
exit "${PIPESTATUS[0]}"
