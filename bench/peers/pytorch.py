"""PyTorch on the layers and the training step that `spherenet bench` measures: what a user would take instead.

Requests and answers are lines of JSON. Tensors are float32 in channels_last; SphereConv(sigmoid, k = 0.3) is composed of
library calls, as they are and through torch.compile. Started with the number of threads.
"""

import gc
import json
import math
import sys
import time

K = 0.3
EPSILON = 1e-4


def say(**answer):
    print(json.dumps(answer), flush=True)


try:
    import torch
    import torch.nn.functional as F
except ImportError as error:
    say(missing=f"{sys.executable} has no torch ({error})")
    sys.exit(0)

INNER = 1 / (2 * K)
OUTER = 1 / math.tanh(math.pi / (4 * K))


def sphere_conv(x, w, ones, stride, padding):
    """The norms of patches are a convolution with ones over the squares; filters are normalised before."""
    filters = w * torch.rsqrt(w.square().sum((1, 2, 3), keepdim=True) + EPSILON)
    patches = F.conv2d(x.square().sum(1, keepdim=True), ones, stride=stride, padding=padding)
    cosine = F.conv2d(x, filters, stride=stride, padding=padding) * torch.rsqrt(patches + EPSILON)
    return torch.tanh(torch.asin(cosine) * INNER) * OUTER


def time_in_turn(calls, plan):
    """Seconds of each call of functions that take turns, after two calls of each to warm up."""

    def once(call, run):
        begin = time.perf_counter()
        call(run)
        return time.perf_counter() - begin

    for call in calls:
        once(call, 0)
    around = sum(once(call, 1) for call in calls)
    runs = min(max(math.ceil(plan["seconds"] / around), plan["leastRuns"]), plan["mostRuns"])
    samples = [[] for _ in calls]
    for run in range(2, runs + 2):
        for own, call in zip(samples, calls):
            own.append(once(call, run))
    return samples


def layer_passes(layer, plan, past_bytes, compiled):
    n, c, size, o = layer["batch"], layer["channels"], layer["size"], layer["filters"]
    kernel, stride = layer["kernel"], layer["stride"]
    padding = (kernel - 1) // 2
    side = (size + 2 * padding - kernel) // stride + 1
    touched = 4 * n * (c * size**2 + o * side**2)
    sets = max(2, min(16, 1 + math.ceil(past_bytes / touched)))

    def filled(*shape, deviation=1.0):
        return (torch.randn(*shape) * deviation).contiguous(memory_format=torch.channels_last)

    xs = [filled(n, c, size, size).requires_grad_() for _ in range(sets)]
    dys = [filled(n, o, side, side) for _ in range(sets)]
    w = filled(o, c, kernel, kernel, deviation=math.sqrt(2 / (c * kernel**2))).requires_grad_()
    ones = torch.ones(1, 1, kernel, kernel)

    def plain(x):
        return F.conv2d(x, w, stride=stride, padding=padding)

    def composed(x):
        return sphere_conv(x, w, ones, stride, padding)

    def forward(op):
        def call(run):
            with torch.no_grad():
                op(xs[run % sets])

        return call

    def whole(op):
        def call(run):
            x = xs[run % sets]
            torch.autograd.grad(op(x), (x, w), dys[run % sets])

        return call

    kinds = [("conv2d", plain), ("SphereConv", composed)]
    if compiled:
        torch._dynamo.reset()
        kinds.append(("SphereConv compiled", torch.compile(composed, dynamic=False)))
    items = [(name, what, make(op)) for name, op in kinds for what, make in (("forward", forward), ("whole", whole))]
    samples = time_in_turn([call for _, _, call in items], plan)
    for (name, what, _), own in zip(items, samples):
        say(contestant=name, what=what, samples=own)


def check(layer, x, w, dy):
    """Outputs and gradients of a small layer whose numbers are given in NHWC and OHWI."""
    n, c, size, o = layer["batch"], layer["channels"], layer["size"], layer["filters"]
    kernel, stride = layer["kernel"], layer["stride"]
    padding = (kernel - 1) // 2
    ones = torch.ones(1, 1, kernel, kernel)

    def channels_first(values, *shape):
        return torch.tensor(values).view(shape).permute(0, 3, 1, 2)

    ops = {
        "conv2d": lambda x, w: F.conv2d(x, w, stride=stride, padding=padding),
        "SphereConv": lambda x, w: sphere_conv(x, w, ones, stride, padding),
    }
    for name, op in ops.items():
        xs = channels_first(x, n, size, size, c).requires_grad_()
        ws = channels_first(w, o, kernel, kernel, c).requires_grad_()
        y = op(xs, ws)
        side = y.shape[-1]
        dx, dw = torch.autograd.grad(y, (xs, ws), channels_first(dy, n, side, side, o))
        for what, result in (("y", y), ("dx", dx), ("dw", dw)):
            say(contestant=name, what=what, values=result.detach().permute(0, 2, 3, 1).flatten().tolist())


class SphereConv(torch.nn.Module):
    def __init__(self, inputs, outputs, kernel):
        super().__init__()
        deviation = math.sqrt(2 / (kernel**2 * inputs))
        self.weight = torch.nn.Parameter(torch.randn(outputs, inputs, kernel, kernel) * deviation)
        self.register_buffer("ones", torch.ones(1, 1, kernel, kernel))

    def forward(self, x):
        return sphere_conv(x, self.weight, self.ones, 1, (self.weight.shape[-1] - 1) // 2)


class SphereLinear(SphereConv):
    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs, 1)

    def forward(self, x):
        return super().forward(x[:, :, None, None]).flatten(1)


def cnn9(angular, side, classes):
    """Three blocks of three 3x3 convolutions with batch norm and ReLU, then 256 features, as models.sphereCnn has it."""
    layers, inputs = [], 3
    for width in (64, 96, 128):
        for _ in range(3):
            conv = SphereConv(inputs, width, 3) if angular else torch.nn.Conv2d(inputs, width, 3, padding=1, bias=False)
            layers += [conv, torch.nn.BatchNorm2d(width), torch.nn.ReLU(inplace=True)]
            inputs = width
        layers.append(torch.nn.MaxPool2d(2))
    flat = inputs * (side // 8) ** 2
    linear = SphereLinear(flat, 256) if angular else torch.nn.Linear(flat, 256, bias=False)
    last = torch.nn.Linear(256, classes, bias=False)
    return torch.nn.Sequential(*layers, torch.nn.Flatten(), linear, torch.nn.BatchNorm1d(256), last)


class Step:
    """Forward, loss, backward, SGD with momentum, on batches in turn."""

    def __init__(self, network, images, angular, compiled):
        side, classes = images["shape"][0], images["classes"]
        torch.manual_seed(1)
        self.model = cnn9(angular, side, classes).to(memory_format=torch.channels_last).train()
        self.network = torch.compile(self.model, dynamic=False) if compiled else self.model
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
        size = (network["batch"], 3, side, side)
        self.images = [torch.randn(size).contiguous(memory_format=torch.channels_last) for _ in range(4)]
        self.labels = [torch.randint(0, classes, size[:1]) for _ in range(4)]

    def loss(self, run):
        return F.cross_entropy(self.network(self.images[run % 4]), self.labels[run % 4])

    def __call__(self, run):
        self.loss(run).backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)


def step_times(network, images, plan, compiled):
    kinds = [(angular, how) for how in ((False, True) if compiled else (False,)) for angular in (False, True)]
    names = [f"{'spherical' if angular else 'plain'}{' compiled' if how else ''}" for angular, how in kinds]
    steps = [Step(network, images, angular, how) for angular, how in kinds]
    for name, own in zip(names, time_in_turn(steps, plan)):
        say(contestant=name, what="training step", samples=own)


def resident(name):
    with open("/proc/self/status", encoding="ascii") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith(f"{name}:"))


def step_memory(network, images):
    """Of one kind of step; what is over the floor is right only in a process that has done nothing else."""
    angular, compiled = network["angular"], network["compiled"]
    name = f"{'spherical' if angular else 'plain'}{' compiled' if compiled else ''}"
    step = Step(network, images, angular, compiled)
    torch.mm(torch.randn(64, 64), torch.randn(64, 64))  # brings up threads and libraries
    gc.collect()
    floor = resident("VmRSS")
    for run in range(3):
        step(run)
    if not compiled:  # a compiler's memory is in the peak of the first step, and it packs what it saves unseen
        say(contestant=name, what="peak of the process", bytes=resident("VmHWM") - floor)
        kept = {}

        def pack(tensor):
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            step.loss(0)
        own = {tensor.untyped_storage().data_ptr() for tensor in (*step.model.parameters(), *step.images)}
        bytes_kept = sum(size for place, size in kept.items() if place not in own)
        say(contestant=name, what="saved for backward", bytes=bytes_kept)


def answer(request):
    if "layer" in request:
        layer_passes(request["layer"], request["plan"], request["pastBytes"], request["compile"])
    elif "check" in request:
        check(request["check"], request["x"], request["w"], request["dy"])
    elif "step" in request:
        step_times(request["step"], request["images"], request["plan"], request["compile"])
    elif "memory" in request:
        step_memory(request["memory"], request["images"])


def main():
    torch.set_num_threads(int(sys.argv[1]))
    say(ready=f"PyTorch {torch.__version__}")
    for line in sys.stdin:
        try:
            answer(json.loads(line))
        except Exception as error:  # noqa: BLE001  (one figure less must not end the run)
            say(note=(str(error).splitlines() or [repr(error)])[0][:300])
        say(done=True)


main()
