// The extents of a convolution.
#pragma once

#include <cstdint>

#include "ops.h"

namespace spherenet {

/// x [images, h, w, c], filters [o, kh, kw, groupChannels], y [images, oh, ow, o].
struct ConvShape {
  int64_t images, h, w, c, o, kh, kw, oh, ow, groups, groupChannels, groupFilters;

  ConvShape(const Conv2dParams& p, const Dims& x, const Dims& filters, const Dims& y)
      : images(x[0]),
        h(x[1]),
        w(x[2]),
        c(x[3]),
        o(filters[0]),
        kh(filters[1]),
        kw(filters[2]),
        oh(y[1]),
        ow(y[2]),
        groups(p.groups),
        groupChannels(c / groups),
        groupFilters(o / groups) {}

  int64_t positions() const { return images * oh * ow; }
  int64_t filterSize() const { return kh * kw * groupChannels; }
};

}  // namespace spherenet
