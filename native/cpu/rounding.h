// Whole numbers rounded up; none of them negative.
#pragma once

#include <type_traits>

namespace spherenet::cpu {

template <class Integer>
constexpr Integer ceilDivide(Integer a, std::type_identity_t<Integer> b) {
  return (a + b - 1) / b;
}

template <class Integer>
constexpr Integer roundUp(Integer value, std::type_identity_t<Integer> multiple) {
  return ceilDivide(value, multiple) * multiple;
}

}  // namespace spherenet::cpu
