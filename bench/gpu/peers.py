"""PyTorch on the layers and the network that SphereNet for Node is timed on: what a user would take instead.

Layers come on standard input, one a line: "N C size O kernel stride". One line of JSON per figure on standard output,
times in microseconds per call: `eager` as Python calls it, `graph` replayed as one CUDA graph, where no time passes
between kernels. bfloat16 tensors in channels_last; the training step of CNN-9 with float32 parameters under autocast.
"""

import argparse
import json
import math
import statistics
import sys
import time

K = 0.3
EPSILON = 1e-4
ROTATION_BYTES = 192 << 20
MOST_BYTES = 3e9
BATCH_SECONDS = 0.025
BATCHES = 7

try:
    import torch
    import torch.nn.functional as F
except ImportError as error:
    print(json.dumps({"missing": f"python3 has no torch ({error})"}))
    sys.exit(0)


def emit(**figure):
    print(json.dumps(figure), flush=True)


class Clock:
    """Times calls on the device: events around batches of calls, or the wall clock on a CPU."""

    def __init__(self, device, small):
        self.cuda = device == "cuda"
        self.seconds = 0.004 if small else BATCH_SECONDS
        self.batches = 3 if small else BATCHES

    def batch(self, call, count):
        if not self.cuda:
            begin = time.perf_counter()
            for i in range(count):
                call(i)
            return (time.perf_counter() - begin) * 1e6 / count
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        for i in range(count):
            call(i)
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) * 1e3 / count

    def median(self, call):
        self.batch(call, 3)
        estimate = self.batch(call, 5)
        count = min(max(math.ceil(self.seconds * 1e6 / estimate), 3), 4000)
        return statistics.median(self.batch(call, count) for _ in range(self.batches))

    def graphed(self, call, count):
        """The time of one of `count` calls that are captured together."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for i in range(3):
                call(i)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for i in range(count):
                call(i)
        return self.median(lambda _: graph.replay()) / count


def measure(clock, item, call, sets, graph=True):
    figure = {"item": item}
    try:
        figure["eager"] = clock.median(call)
        if clock.cuda and graph:
            try:
                figure["graph"] = clock.graphed(call, sets)
            except Exception as error:  # noqa: BLE001  (what cannot be captured is still timed eagerly)
                figure["graphError"] = str(error).splitlines()[0][:200]
    except Exception as error:  # noqa: BLE001  (one figure less must not end the run)
        figure["error"] = (str(error).splitlines() or [repr(error)])[0][:300]
    emit(**figure)
    if clock.cuda:
        torch.cuda.synchronize()
        torch.cuda.empty_cache()


def sphere_conv(x, w, stride, padding):
    """SphereConv with the sigmoid operator as a chain of library calls; norms in float32, large tensors in 16 bits."""
    kernel = w.shape[-1]
    dot = F.conv2d(x, w, stride=stride, padding=padding)
    energy = x.float().square().sum(1, keepdim=True)
    box = F.avg_pool2d(energy, kernel, stride, padding, divisor_override=1)
    inverse_x = torch.rsqrt(box + EPSILON)
    inverse_w = torch.rsqrt(w.float().square().sum((1, 2, 3)) + EPSILON).view(1, -1, 1, 1)
    cosine = dot * inverse_x.to(dot.dtype) * inverse_w.to(dot.dtype)
    # 1 - c^2 is cut off as in the op that this stands beside.
    angle = torch.asin(cosine.clamp(-1 + 5e-7, 1 - 5e-7)) if cosine.dtype == torch.float32 else torch.asin(
        cosine.clamp(-0.996, 0.996)
    )
    return torch.tanh(angle / (2 * K)) / math.tanh(math.pi / (4 * K))


def layer_figures(clock, device, line, compiled):
    n, c, size, o, kernel, stride = map(int, line.split())
    padding = (kernel - 1) // 2
    side = (size + 2 * padding - kernel) // stride + 1
    x_bytes, y_bytes = 2 * n * c * size * size, 2 * n * o * side * side
    sets = max(2, min(math.ceil(ROTATION_BYTES / min(x_bytes, y_bytes)), 64, int(MOST_BYTES / (x_bytes + y_bytes))))
    if not clock.cuda:
        sets = 2

    def filled(*shape, scale=1.0):
        values = torch.randn(*shape, device=device, dtype=torch.bfloat16) * scale
        return values.contiguous(memory_format=torch.channels_last)

    xs = [filled(n, c, size, size).requires_grad_() for _ in range(sets)]
    dys = [filled(n, o, side, side) for _ in range(sets)]
    w = filled(o, c, kernel, kernel, scale=math.sqrt(2 / (c * kernel * kernel))).requires_grad_()
    results = [None] * sets

    def plain(x):
        return F.conv2d(x, w, stride=stride, padding=padding)

    def composed(x):
        return sphere_conv(x, w, stride, padding)

    def forward(op):
        def call(i):
            with torch.no_grad():
                results[i % sets] = op(xs[i % sets])

        return call

    def both(op):
        def call(i):
            x = xs[i % sets]
            y = op(x)
            results[i % sets] = (y.detach(), *torch.autograd.grad(y, (x, w), dys[i % sets]))

        return call

    if not compiled:
        yield f"conv forward {line}", forward(plain), sets
        yield f"conv both {line}", both(plain), sets
        yield f"sphere forward {line}", forward(composed), sets
        yield f"sphere both {line}", both(composed), sets
    else:
        yield f"sphere compiled both {line}", both(torch.compile(composed, dynamic=False)), sets


class SphereConv(torch.nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(outputs, inputs, 3, 3) * math.sqrt(2 / (9 * inputs)))

    def forward(self, x):
        weight = self.weight.to(torch.bfloat16) if torch.is_autocast_enabled() else self.weight
        return sphere_conv(x.to(weight.dtype), weight, 1, 1)


class SphereLinear(torch.nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(outputs, inputs, 1, 1) * math.sqrt(2 / inputs))

    def forward(self, x):
        weight = self.weight.to(torch.bfloat16) if torch.is_autocast_enabled() else self.weight
        return sphere_conv(x.to(weight.dtype)[:, :, None, None], weight, 1, 0).flatten(1)


def cnn9(angular, small):
    """Three blocks of three 3x3 convolutions with batch norm and ReLU, then 256 features, as models.sphereCnn has it."""
    widths, features, side = ((8, 8, 16), 16, 8) if small else ((64, 96, 128), 256, 32)
    layers, inputs = [], 3
    for width in widths:
        for _ in range(3):
            conv = SphereConv(inputs, width) if angular else torch.nn.Conv2d(inputs, width, 3, padding=1, bias=False)
            layers += [conv, torch.nn.BatchNorm2d(width), torch.nn.ReLU(inplace=True)]
            inputs = width
        layers.append(torch.nn.MaxPool2d(2))
    flat = inputs * (side // 8) ** 2
    linear = SphereLinear(flat, features) if angular else torch.nn.Linear(flat, features, bias=False)
    layers += [torch.nn.Flatten(), linear, torch.nn.BatchNorm1d(features), torch.nn.Linear(features, 10, bias=False)]
    return torch.nn.Sequential(*layers), side


def step_figures(device, small, batch, angular, compiled):
    model, side = cnn9(angular, small)
    model = model.to(device).to(memory_format=torch.channels_last).train()
    fused = {"fused": True} if device == "cuda" else {}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4, **fused)
    images = [
        torch.randn(batch, 3, side, side, device=device).contiguous(memory_format=torch.channels_last)
        for _ in range(4)
    ]
    labels = [torch.randint(0, 10, (batch,), device=device) for _ in range(4)]
    network = torch.compile(model, dynamic=False) if compiled else model

    def call(i):
        with torch.autocast(device, dtype=torch.bfloat16):
            scores = network(images[i % 4])
        loss = F.cross_entropy(scores.float(), labels[i % 4])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    name = f"CNN-9 {'spherical' if angular else 'plain'}{' compiled' if compiled else ''} batch {batch}"
    return name, call, 4


def ceilings(clock, device):
    """The rates that decide a layer's floor: a large product, and a large copy."""
    n = 8192 if clock.cuda else 256
    a, b = (torch.randn(n, n, device=device, dtype=torch.bfloat16) for _ in range(2))
    product = clock.median(lambda _: a @ b)
    source = torch.randn(n * n * (4 if clock.cuda else 1), device=device)
    target = torch.empty_like(source)
    copy = clock.median(lambda _: target.copy_(source))
    return {
        "matmulFlopsPerSecond": 2 * n**3 / (product * 1e-6),
        "copyBytesPerSecond": 8 * source.numel() / (copy * 1e-6),
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--done", default="[]")
    options = parser.parse_args()
    end = time.monotonic() + options.seconds
    device = options.device
    if device == "cuda" and not torch.cuda.is_available():
        emit(missing="torch sees no GPU")
        return
    lines = [line.strip() for line in sys.stdin if line.strip()]
    torch.manual_seed(1)
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    clock = Clock(device, options.small)
    emit(
        torch=torch.__version__,
        cudnn=torch.backends.cudnn.version(),
        device=torch.cuda.get_device_name() if device == "cuda" else "cpu",
        **ceilings(clock, device),
    )

    # The most valuable first; compilation, which takes long, last.
    batches = [4] if options.small else [128, 256]
    groups = []
    for batch in batches:
        for angular in (False, True):
            name = f"CNN-9 {'spherical' if angular else 'plain'} batch {batch}"
            groups.append(([name], lambda b=batch, a=angular: [step_figures(device, options.small, b, a, False)]))
    for line in lines:
        names = [f"{kind} {line}" for kind in ("conv forward", "conv both", "sphere forward", "sphere both")]
        groups.append((names, lambda s=line: layer_figures(clock, device, s, False)))
    for batch in reversed(batches):
        for angular in (False, True):
            name = f"CNN-9 {'spherical' if angular else 'plain'} compiled batch {batch}"
            groups.append(([name], lambda b=batch, a=angular: [step_figures(device, options.small, b, a, True)]))
    for line in lines:
        groups.append(([f"sphere compiled both {line}"], lambda s=line: layer_figures(clock, device, s, True)))

    done = set(json.loads(options.done))
    left = 0
    for names, figures in groups:
        if all(name in done for name in names):
            continue
        if time.monotonic() > end:
            left += len(names)
            continue
        try:
            for name, call, sets in figures():
                if name not in done:
                    # A compiled network is timed as it is: its own warm-up is not to be captured.
                    measure(clock, name, call, sets, graph="compiled batch" not in name)
        except Exception as error:  # noqa: BLE001
            for name in names:
                emit(item=name, error=(str(error).splitlines() or [repr(error)])[0][:300])
    if left:
        emit(left=left)


main()
