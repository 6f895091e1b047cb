#pragma once
#include <sys/resource.h>

#include <cstdint>
#include <filesystem>
#include <string>

// What goes wrong with a process or a disk, done from outside.
namespace larder::cache_agent {

// As long as it lives, a process can open no descriptor, but for the first `spare`. Throws std::system_error.
class NoMoreDescriptors {
 public:
  explicit NoMoreDescriptors(int pid, uint64_t spare = 0);
  ~NoMoreDescriptors();
  NoMoreDescriptors(const NoMoreDescriptors&) = delete;
  NoMoreDescriptors& operator=(const NoMoreDescriptors&) = delete;

 private:
  const int pid_;
  rlimit before_{};
};

// Flips one bit of each copy of `bytes` (a few, which nothing else begins with) in the writable memory of a process,
// `at` bytes behind their beginning. How many there were.
int FlipInMemory(int pid, const std::string& bytes, uint64_t at = 0);

// Flips one bit of a file. Throws std::system_error.
void FlipInFile(const std::filesystem::path& path, uint64_t at);
// The file below `dir` that holds `bytes`; empty if there is none.
std::filesystem::path FileWith(const std::filesystem::path& dir, const std::string& bytes);

// Descriptors of a process that are sockets, or stand for other processes.
size_t ClientDescriptorsOf(int pid);

}  // namespace larder::cache_agent
