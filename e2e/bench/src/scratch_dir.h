#pragma once
#include <stdlib.h>

#include <filesystem>
#include <string>
#include <utility>

#include "src/must.h"

namespace larder::bench {

// A new directory, gone with the object.
class ScratchDir {
 public:
  // As of mkdtemp: it ends in XXXXXX.
  explicit ScratchDir(std::string pattern) : path_(std::move(pattern)) {
    if (::mkdtemp(path_.data()) == nullptr) Die("cannot make " + path_);
  }
  ScratchDir(const ScratchDir&) = delete;
  ScratchDir& operator=(const ScratchDir&) = delete;
  ~ScratchDir() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace larder::bench
