#pragma once
#include <cstddef>
#include <string>

namespace larder::base {

// Bytes that nobody can guess, fit for keys: the kernel's. A kernel that has none ends the process.
std::string RandomBytes(size_t size);

}  // namespace larder::base
