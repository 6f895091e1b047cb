#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <system_error>

#include "tests/faults/hostile.h"
#include "tests/faults/pinned.h"

namespace larder::cache_agent {
namespace {

constexpr uint64_t kPage = 4096;

[[noreturn]] void Throw(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

// The next to come out of it is `byte`; what else it holds are pages of the file.
base::UniqueFd PipeWith(char byte) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) Throw("pipe");
  const base::UniqueFd in(ends[1]);
  if (::write(ends[1], &byte, 1) != 1) Throw("fill a pipe");
  return base::UniqueFd(ends[0]);
}

// Writes to a pipe that holds part of a page of the file: once, the kernel took that for the page's own tail (Dirty
// Pipe).
ssize_t WriteIntoPipeOfPages(int fd) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) Throw("pipe");
  const base::UniqueFd out(ends[0]), in(ends[1]);
  off_t at = 0;
  if (::sendfile(in.get(), fd, &at, 1) != 1) return -1;
  if (::write(in.get(), "XXXX", 4) != 4) return -1;
  std::array<char, 5> pages{};
  if (::pread(fd, pages.data(), pages.size(), 0) != static_cast<ssize_t>(pages.size())) return -1;
  errno = 0;
  return std::string_view(pages.data() + 1, 4) == "XXXX" ? 1 : -1;
}

// A file of /proc that writes past the protection of pages, where the kernel lets it.
ssize_t WriteProcMem(std::byte* at) {
  const base::UniqueFd mem(::open("/proc/self/mem", O_RDWR | O_CLOEXEC));
  return ::pwrite(mem.get(), "X", 1, reinterpret_cast<off_t>(at));
}

ssize_t WriteAcrossProcesses(std::byte* at) {
  char byte = 'X';
  const iovec from{&byte, 1}, to{at, 1};
  return ::process_vm_writev(::getpid(), &from, 1, &to, 1, 0);
}

ssize_t Pin(base::MutableByteSpan memory) {
  try {
    PinnedPages pages(memory);
    return 0;
  } catch (const std::system_error& e) {
    errno = e.code().value();
    return -1;
  }
}

using Way = std::pair<std::string, std::function<ssize_t()>>;

// On one descriptor, each as the kernel answers it: below zero is a refusal.
std::vector<Way> WaysThroughDescriptor(int fd, uint64_t size) {
  const auto map = [size, fd](int protection) {
    void* at = ::mmap(nullptr, size, protection, MAP_SHARED, fd, 0);
    return at == MAP_FAILED ? -1 : ::munmap(at, size);
  };
  const auto allocate = [fd](int mode, uint64_t at) { return ::fallocate(fd, mode, static_cast<off_t>(at), kPage); };
  const auto end = static_cast<off_t>(size);
  return {
      {"write", [=] { return ::pwrite(fd, "X", 1, 0); }},
      {"map to write", [=] { return map(PROT_READ | PROT_WRITE); }},
      {"map to write only", [=] { return map(PROT_WRITE); }},
      {"shrink", [=] { return ::ftruncate(fd, 0); }},
      {"grow", [=] { return ::ftruncate(fd, end + off_t{kPage}); }},
      {"punch", [=] { return allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0); }},
      {"zero", [=] { return allocate(FALLOC_FL_ZERO_RANGE, 0); }},
      {"collapse", [=] { return allocate(FALLOC_FL_COLLAPSE_RANGE, 0); }},
      {"insert", [=] { return allocate(FALLOC_FL_INSERT_RANGE, 0); }},
      {"extend", [=] { return allocate(0, size); }},
      {"add a seal", [=] { return ::fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE); }},
      {"splice",
       [=] {
         const base::UniqueFd from = PipeWith('X');
         off64_t at = 0;
         return ::splice(from.get(), nullptr, fd, &at, 1, SPLICE_F_MOVE);
       }},
      {"copy_file_range",
       [=] {
         const base::UniqueFd from(::memfd_create("from", MFD_CLOEXEC));
         if (::ftruncate(from.get(), 1) != 0) Throw("size a memfd");
         off64_t in = 0, out = 0;
         return ::copy_file_range(from.get(), &in, fd, &out, 1, 0);
       }},
      {"write behind pages in a pipe", [=] { return WriteIntoPipeOfPages(fd); }},
  };
}

std::vector<Way> WaysThroughMapping(base::MutableByteSpan memory) {
  std::byte* const at = memory.data();
  return {
      {"mprotect", [=] { return ::mprotect(at, kPage, PROT_READ | PROT_WRITE); }},
      {"MADV_REMOVE", [=] { return ::madvise(at, kPage, MADV_REMOVE); }},
      {"MADV_POPULATE_WRITE", [=] { return ::madvise(at, kPage, MADV_POPULATE_WRITE); }},
      {"/proc/self/mem", [=] { return WriteProcMem(at); }},
      {"process_vm_writev", [=] { return WriteAcrossProcesses(at); }},
      {"pin to write", [=] { return Pin(memory); }},
  };
}

void Try(const std::string& through, const std::vector<Way>& ways, std::vector<std::string>& said) {
  for (const auto& [name, way] : ways) {
    errno = 0;
    const ssize_t result = way();
    said.push_back(result < 0 ? fmt::format("{} {}: refused ({})", through, name, std::strerror(errno))
                              : fmt::format("{} {}: CHANGED", through, name));
  }
}

}  // namespace

std::vector<std::string> ChangeSealedMemory(const Shared& shared) {
  std::vector<std::string> said;
  const int fd = shared.fds.at(0).get();
  const uint64_t size = shared.extents.at(0).segment_size;
  const Memory mapped(fd, 0, size, PROT_READ);
  Try("as received:", WaysThroughDescriptor(fd, size), said);
  Try("mapped as received:", WaysThroughMapping(mapped.bytes()), said);
  // Root opens anew what it wants, and lets others do so, or not; the seals are what counts.
  ::fchmod(fd, 0777);
  const std::string path = fmt::format("/proc/self/fd/{}", fd);
  for (const auto& [name, flags] : {std::pair{"to write", O_RDWR}, std::pair{"to append", O_WRONLY | O_APPEND}}) {
    const base::UniqueFd again(::open(path.c_str(), flags | O_CLOEXEC));
    if (!again) Throw("reopen");
    Try(fmt::format("reopened {}:", name), WaysThroughDescriptor(again.get(), size), said);
    if (flags != O_RDWR) continue;
    const Memory mapped_again(again.get(), 0, size, PROT_READ);
    Try("reopened and mapped:", WaysThroughMapping(mapped_again.bytes()), said);
  }
  Try("reopened", {{"empty", [&] { return base::UniqueFd(::open(path.c_str(), O_RDWR | O_TRUNC)).get(); }}}, said);
  ::fchmod(fd, 0);
  return said;
}

}  // namespace larder::cache_agent
