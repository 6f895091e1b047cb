#include "src/must.h"

#include <stdexcept>

namespace larder::bench {

void Die(const std::string& why) { throw std::runtime_error(why); }

void Must(const absl::Status& status) {
  if (!status.ok()) Die(base::Message(status));
}

}  // namespace larder::bench
