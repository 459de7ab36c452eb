// cuDNN 9 as a library that is opened at run time: its headers are needed to compile, the library is not.
#pragma once

#include <cudnn.h>
#include <dlfcn.h>
#include <glob.h>

#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

namespace baseline {

/// The entry points that the baseline uses, from the first libcudnn.so.9 that can be opened.
class Cudnn {
 public:
  /// @param folders where to look first; then where the loader looks, and the usual places of CUDA and of
  /// wheels
  explicit Cudnn(const std::vector<std::string>& folders) {
    std::string tried;
    for (const std::string& folder : candidates(folders)) {
      if (open(folder)) {
        bind();
        return;
      }
      tried += "\n  " + (folder.empty() ? "the loader's path" : folder);
    }
    throw std::runtime_error("libcudnn.so.9 was not found; looked in" + tried);
  }

  /// Throws with cuDNN's own words unless `status` is success; `what` names the call.
  void check(cudnnStatus_t status, const char* what) const {
    if (status == CUDNN_STATUS_SUCCESS) return;
    char message[512] = "";
    lastError(message, sizeof(message));
    throw std::runtime_error(std::string(what) + ": " + errorString(status) + " " + message);
  }

  decltype(&cudnnGetVersion) version = nullptr;
  decltype(&cudnnGetErrorString) errorString = nullptr;
  decltype(&cudnnGetLastErrorString) lastError = nullptr;
  decltype(&cudnnCreate) create = nullptr;
  decltype(&cudnnSetStream) setStream = nullptr;
  decltype(&cudnnBackendCreateDescriptor) createDescriptor = nullptr;
  decltype(&cudnnBackendDestroyDescriptor) destroyDescriptor = nullptr;
  decltype(&cudnnBackendFinalize) finalize = nullptr;
  decltype(&cudnnBackendSetAttribute) setAttribute = nullptr;
  decltype(&cudnnBackendGetAttribute) getAttribute = nullptr;
  decltype(&cudnnBackendExecute) execute = nullptr;
  std::string path;

 private:
  static std::vector<std::string> candidates(const std::vector<std::string>& folders) {
    std::vector<std::string> found = folders;
    found.push_back("");
    for (const char* pattern : {"/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/local/cuda*/lib64",
                                "/usr/local/lib", "/usr/lib/python3*/site-packages/nvidia/cudnn/lib",
                                "/usr/local/lib/python3*/*-packages/nvidia/cudnn/lib"}) {
      glob_t matches{};
      if (glob(pattern, 0, nullptr, &matches) == 0)
        found.insert(found.end(), matches.gl_pathv, matches.gl_pathv + matches.gl_pathc);
      globfree(&matches);
    }
    return found;
  }

  bool open(const std::string& folder) {
    if (folder.empty()) return load("libcudnn.so.9");
    const std::string library = folder + "/libcudnn.so.9";
    if (!std::filesystem::exists(library)) return false;
    // libcudnn opens its parts by their bare names: opened here by path, they are found whatever the search
    // path is. The compiler that some parts need lies in a neighbouring wheel.
    openAll(folder + "/../../cu*/lib/libnvrtc.so.*");
    openAll(folder + "/../../cuda_nvrtc/lib/libnvrtc.so.*");
    openAll(folder + "/../../cu*/lib/libcublasLt.so.*");
    openAll(folder + "/../../cublas/lib/libcublasLt.so.*");
    for (const char* part :
         {"graph", "ops", "engines_precompiled", "engines_runtime_compiled", "heuristic", "cnn"})
      openAll(folder + "/libcudnn_" + part + ".so.9");
    return load(library);
  }

  static void openAll(const std::string& pattern) {
    glob_t matches{};
    if (glob(pattern.c_str(), 0, nullptr, &matches) == 0)
      for (size_t i = 0; i < matches.gl_pathc; ++i) dlopen(matches.gl_pathv[i], RTLD_NOW | RTLD_GLOBAL);
    globfree(&matches);
  }

  bool load(const std::string& name) {
    handle_ = dlopen(name.c_str(), RTLD_NOW | RTLD_GLOBAL);
    path = name;
    return handle_ != nullptr;
  }

  template <class Function>
  void symbol(Function& function, const char* name) {
    function = reinterpret_cast<Function>(dlsym(handle_, name));
    if (function == nullptr) throw std::runtime_error(path + " has no " + name + ": it is not cuDNN 9");
  }

  void bind() {
    symbol(version, "cudnnGetVersion");
    symbol(errorString, "cudnnGetErrorString");
    symbol(lastError, "cudnnGetLastErrorString");
    symbol(create, "cudnnCreate");
    symbol(setStream, "cudnnSetStream");
    symbol(createDescriptor, "cudnnBackendCreateDescriptor");
    symbol(destroyDescriptor, "cudnnBackendDestroyDescriptor");
    symbol(finalize, "cudnnBackendFinalize");
    symbol(setAttribute, "cudnnBackendSetAttribute");
    symbol(getAttribute, "cudnnBackendGetAttribute");
    symbol(execute, "cudnnBackendExecute");
  }

  void* handle_ = nullptr;
};

}  // namespace baseline
