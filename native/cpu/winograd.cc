#include "winograd.h"

#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "winograd_tiles.h"

namespace spherenet::cpu {
namespace {

using namespace wino;

WinogradUse fromEnvironment() {
  const char* variable = std::getenv("SPHERENET_WINOGRAD");
  const std::string text = variable ? variable : "";
  if (text.empty()) return WinogradUse::WhereItPays;
  if (text == "0") return WinogradUse::Never;
  if (text == "1") return WinogradUse::WherePossible;
  throw std::runtime_error("SPHERENET_WINOGRAD must be 0 (never) or 1 (wherever it is possible), got '" +
                           text + "'");
}

std::atomic<WinogradUse>& use() {
  static std::atomic<WinogradUse> chosen{fromEnvironment()};
  return chosen;
}

}  // namespace

WinogradUse winogradUse() {
  return use().load(std::memory_order_relaxed);
}

void setWinogradUse(WinogradUse chosen) {
  use() = chosen;
}

bool usesWinograd(const Conv2dParams& p, const ConvShape& s) {
  const WinogradUse chosen = winogradUse();
  const bool possible = s.kh == kTaps && s.kw == kTaps && p.strideH == 1 && p.strideW == 1 &&
                        p.dilationH == 1 && p.dilationW == 1 && s.groups == 1;
  if (!possible || chosen == WinogradUse::Never) return false;
  if (chosen == WinogradUse::WherePossible) return true;
  // Multiply-adds of both, in the transforms what takes as long.
  const double c = static_cast<double>(s.c), o = static_cast<double>(s.o);
  const double tiles = static_cast<double>(s.images * tilesAlong(s.oh) * tilesAlong(s.ow));
  const double direct = static_cast<double>(s.positions()) * static_cast<double>(kTaps * kTaps) * c * o;
  const double winograd = tiles * (static_cast<double>(kPositions) * c * o + 250 * (c + o)) + 300 * c * o;
  return winograd < 0.8 * direct;
}

}  // namespace spherenet::cpu
