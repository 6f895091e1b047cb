#include "rpc/field_errors.h"

#include <fmt/format.h>

#include "larder/base/status.h"

namespace larder::tracker {

void FieldErrors::Bad(std::string_view field, std::string_view why) {
  if (!status_.ok()) return;
  std::string path;
  for (const Step& step : path_) {
    path += step.index == kNoIndex ? fmt::format("{}.", step.field) : fmt::format("{}[{}].", step.field, step.index);
  }
  status_ = base::InvalidArgument("BAD_FIELD", "{}{} {}", path, field, why);
}

}  // namespace larder::tracker
