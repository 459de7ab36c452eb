#include "build_info.h"

// By the build, for this file only: SPHERENET_VERSION is package.json's; the other two are empty without
// CUDA.
#ifndef SPHERENET_CUDA_TOOLKIT
#define SPHERENET_CUDA_TOOLKIT ""
#define SPHERENET_CUDA_ARCHITECTURES ""
#endif

namespace spherenet::node {

void defineBuildInfo(Napi::Env env, Napi::Object& exports) {
  Napi::Object build = Napi::Object::New(env);
  build.Set("version", SPHERENET_VERSION);
  build.Set("nodeApi", NAPI_VERSION);
  build.Set("cuda", SPHERENET_CUDA_TOOLKIT);
  build.Set("architectures", SPHERENET_CUDA_ARCHITECTURES);
  exports.Set("build", build);
}

}  // namespace spherenet::node
