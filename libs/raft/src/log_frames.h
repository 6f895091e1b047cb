#pragma once
#include <cstdint>

#include "larder/base/bytes.h"

namespace larder::raft {

// How a file ends that RocksDB appends records to (a write-ahead log, a manifest).
enum class FileEnd : uint8_t {
  kWhole,   // with a whole record
  kTorn,    // with a part of one, or with what is none: what a crash leaves
  kDamaged  // there are records beyond what is none, so that no crash made it
};

struct FileState {
  FileEnd end = FileEnd::kWhole;
  uint64_t whole = 0;  // bytes up to the end of the last record before anything is wrong
};

// RocksDB itself takes a damaged length near the end of a file for the end, and gives up a whole block of records after
// one damaged byte. So the frames are looked for here, at every byte after the first that is none. Pure.
FileState ExamineLogFile(base::ByteSpan bytes);

}  // namespace larder::raft
