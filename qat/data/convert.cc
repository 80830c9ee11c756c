#include "qat/data/convert.h"

#include <algorithm>
#include <limits>
#include <type_traits>

namespace simaqat {
namespace {

template <class From, class To>
constexpr bool allowed() {
  if (std::is_same_v<From, To>) return true;
  if (std::is_same_v<To, bool>) return false;
  return std::is_integral_v<From> || std::is_floating_point_v<To>;
}

// Whether every From is a To, so that no element need be looked at.
template <class From, class To>
constexpr bool alwaysFits() {
  using FromLimits = std::numeric_limits<From>;
  using ToLimits = std::numeric_limits<To>;
  return FromLimits::digits <= ToLimits::digits && (!FromLimits::is_signed || ToLimits::is_signed);
}

// long double holds every value of every type here.
template <class To, class From>
bool fits(From value) {
  const auto exact = static_cast<long double>(value);
  if (exact != exact) return true;
  if constexpr (std::is_integral_v<To>) {
    return exact >= static_cast<long double>(std::numeric_limits<To>::min()) &&
           exact <= static_cast<long double>(std::numeric_limits<To>::max());
  } else {
    return static_cast<long double>(static_cast<To>(value)) == exact;
  }
}

}  // namespace

std::optional<std::string> conversionLoss(const Tensor& array, ElementType type) {
  return visitElementType(array.type(), [&](auto from_tag) {
    return visitElementType(type, [&](auto to_tag) -> std::optional<std::string> {
      using From = decltype(from_tag);
      using To = decltype(to_tag);
      if constexpr (!allowed<From, To>()) {
        return fmt::format("holds {}, expected {}", elementTypeName(array.type()),
                           elementTypeName(type));
      } else if constexpr (!alwaysFits<From, To>()) {
        const From* begin = array.data<From>();
        const From* end = begin + array.size();
        const From* lossy = std::find_if_not(begin, end, fits<To, From>);
        if (lossy != end) {
          return fmt::format("holds {}, expected {}, which element {} ({}) does not fit",
                             elementTypeName(array.type()), elementTypeName(type), lossy - begin,
                             *lossy);
        }
      }
      return std::nullopt;
    });
  });
}

void convertElements(const std::byte* from, ElementType from_type, std::byte* to,
                     ElementType to_type, int64_t count) {
  visitElementType(from_type, [&](auto from_tag) {
    visitElementType(to_type, [&](auto to_tag) {
      using From = decltype(from_tag);
      using To = decltype(to_tag);
      const From* begin = reinterpret_cast<const From*>(from);
      std::transform(begin, begin + count, reinterpret_cast<To*>(to),
                     [](From value) { return static_cast<To>(value); });
    });
  });
}

}  // namespace simaqat
