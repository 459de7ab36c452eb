#include "angular_pass.cuh"
#include "cuda_ops.h"

namespace spherenet::cuda {

void CudaOps::sphereConv2dAngularBackward(const AngularParams& a, const Tensor& y, const Tensor& c,
                                          const Tensor& dy, const Tensor& k, const Tensor& nx,
                                          const Tensor& nw, const Tensor& h, const Tensor& r, const Tensor& q,
                                          const Tensor& dk) {
  const int64_t filters = y.shape[y.shape.rank - 1];
  if (filters == 0) return;
  withStorage(y.dtype, [&](auto zero) {
    using T = decltype(zero);
    const int64_t rows = y.size() / filters;
    const auto pass = angularPass<T, false>(a, y, c, dy, k, nx, nw, h, r);
    if constexpr (std::is_same_v<T, double>) {
      if (c) {
        runPass<T, 1, true>(context_, pass, rows, q, dk);
      } else {
        runPass<T, 1, false>(context_, pass, rows, q, dk);
      }
    } else if (takesVectors(pass)) {
      runPass<T, Vector<T>::kSize, false>(context_, pass, rows, q, dk);
    } else {
      runPass<T, 1, false>(context_, pass, rows, q, dk);
    }
  });
}

}  // namespace spherenet::cuda
