#include "tests/faults/damage.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <set>
#include <sstream>
#include <system_error>
#include <vector>

#include "larder/base/unique_fd.h"

namespace larder::cache_agent {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kLargestMap = 4ull << 30;  // a sanitizer's shadow is terabytes, and no arena of a test is that large

fs::path ProcOf(int pid) { return fs::path("/proc") / std::to_string(pid); }

[[noreturn]] void ThrowErrno(const std::string& what) { throw std::system_error(errno, std::generic_category(), what); }

}  // namespace

NoMoreDescriptors::NoMoreDescriptors(int pid, uint64_t spare) : pid_(pid) {
  std::set<uint64_t> open;
  for (const auto& entry : fs::directory_iterator(ProcOf(pid) / "fd")) {
    open.insert(std::stoull(entry.path().filename().string()));
  }
  // The limit is of numbers, and a new descriptor gets the lowest that is free.
  uint64_t limit = 0;
  for (uint64_t left = spare; open.contains(limit) || left > 0; ++limit) {
    if (!open.contains(limit)) --left;
  }
  if (::prlimit(pid, RLIMIT_NOFILE, nullptr, &before_) != 0) ThrowErrno("ask for a limit");
  const rlimit none{.rlim_cur = limit, .rlim_max = before_.rlim_max};
  if (::prlimit(pid, RLIMIT_NOFILE, &none, nullptr) != 0) ThrowErrno("set a limit");
}

NoMoreDescriptors::~NoMoreDescriptors() { ::prlimit(pid_, RLIMIT_NOFILE, &before_, nullptr); }

int FlipInMemory(int pid, const std::string& bytes, uint64_t at) {
  const base::UniqueFd memory(::open((ProcOf(pid) / "mem").c_str(), O_RDWR | O_CLOEXEC));
  if (!memory) ThrowErrno("open the memory of another process");
  std::ifstream maps(ProcOf(pid) / "maps");
  std::string part;
  int flipped = 0;
  for (std::string line; std::getline(maps, line);) {
    unsigned long from = 0, to = 0;
    char mode[5] = "";
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &from, &to, mode) != 3 || mode[0] != 'r' || mode[1] != 'w') continue;
    if (to - from > kLargestMap) continue;
    part.resize(to - from);
    const ssize_t size = ::pread(memory.get(), part.data(), part.size(), static_cast<off_t>(from));
    if (size <= 0) continue;
    part.resize(static_cast<size_t>(size));
    for (size_t begin = part.find(bytes); begin != part.npos; begin = part.find(bytes, begin + 1)) {
      if (begin + at >= part.size()) break;
      const char other = static_cast<char>(part[begin + at] ^ 1);
      if (::pwrite(memory.get(), &other, 1, static_cast<off_t>(from + begin + at)) == 1) ++flipped;
    }
  }
  return flipped;
}

void FlipInFile(const fs::path& path, uint64_t at) {
  const base::UniqueFd file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  char byte = 0;
  if (!file || ::pread(file.get(), &byte, 1, static_cast<off_t>(at)) != 1) ThrowErrno(path.string());
  byte = static_cast<char>(byte ^ 1);
  if (::pwrite(file.get(), &byte, 1, static_cast<off_t>(at)) != 1) ThrowErrno(path.string());
}

fs::path FileWith(const fs::path& dir, const std::string& bytes) {
  for (const auto& entry : fs::recursive_directory_iterator(dir)) {
    if (!entry.is_regular_file()) continue;
    std::ostringstream content;
    content << std::ifstream(entry.path(), std::ios::binary).rdbuf();
    if (content.str().find(bytes) != std::string::npos) return entry.path();
  }
  return {};
}

size_t ClientDescriptorsOf(int pid) {
  size_t found = 0;
  for (const auto& entry : fs::directory_iterator(ProcOf(pid) / "fd")) {
    std::error_code gone;
    const std::string what = fs::read_symlink(entry.path(), gone).string();
    found += what.starts_with("socket:") || what == "anon_inode:[pidfd]" ? 1 : 0;
  }
  return found;
}

}  // namespace larder::cache_agent
