#include "symbol.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <elf.h>
#include <link.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <vector>

namespace cuda_on_host {
namespace {

std::string demangled(const char* name) {
  int status = 0;
  char* text = abi::__cxa_demangle(name, nullptr, nullptr, &status);
  std::string result = text ? text : name;
  std::free(text);
  return result;
}

/// The function whose code starts at `offset` in an ELF file, mangled; "" where the file has no such symbol.
std::string symbolAt(const char* path, uintptr_t offset) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  std::vector<char> bytes(file ? static_cast<size_t>(file.tellg()) : 0);
  file.seekg(0);
  if (!file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()))) return "";
  if (bytes.size() < sizeof(ElfW(Ehdr)) || std::memcmp(bytes.data(), ELFMAG, SELFMAG) != 0) return "";
  const auto& header = *reinterpret_cast<const ElfW(Ehdr)*>(bytes.data());
  const auto* sections = reinterpret_cast<const ElfW(Shdr)*>(bytes.data() + header.e_shoff);
  for (int s = 0; s < header.e_shnum; ++s) {
    if (sections[s].sh_type != SHT_SYMTAB) continue;
    const auto* symbols = reinterpret_cast<const ElfW(Sym)*>(bytes.data() + sections[s].sh_offset);
    const char* names = bytes.data() + sections[sections[s].sh_link].sh_offset;
    for (size_t i = 0; i < sections[s].sh_size / sizeof(ElfW(Sym)); ++i) {
      if (symbols[i].st_value == offset && ELF64_ST_TYPE(symbols[i].st_info) == STT_FUNC)
        return names + symbols[i].st_name;
    }
  }
  return "";
}

}  // namespace

std::string symbolName(const void* address) {
  Dl_info info;
  link_map* map = nullptr;
  if (!dladdr1(address, &info, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP)) return "a kernel";
  if (info.dli_sname && info.dli_saddr == address) return demangled(info.dli_sname);
  const bool isProgram = !map->l_name || !*map->l_name;
  const std::string name = symbolAt(isProgram ? "/proc/self/exe" : info.dli_fname,
                                    reinterpret_cast<uintptr_t>(address) - map->l_addr);
  return name.empty() ? "a kernel" : demangled(name.c_str());
}

}  // namespace cuda_on_host
