#pragma once
#include <string>

#include "larder/object/examination.h"

namespace larder::transport::uds {

// The way to the agent whose sockets lie in `directory`: directory, socket, kernel, HELLO, and objects that come inline
// and by mapping.
object::Examination Examine(const std::string& directory, const object::ExamineOptions& options);

}  // namespace larder::transport::uds
