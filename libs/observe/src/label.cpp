#include "larder/observe/label.h"

#include "larder/base/error_table.h"

namespace larder::observe {

std::string_view LabelText(absl::StatusCode code) { return base::ErrorRowOf(code).name; }

}  // namespace larder::observe
