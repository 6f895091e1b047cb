#pragma once
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>

#include "core/rocks_table.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"

namespace larder::tracker {

// A RocksTable in a temporary directory.
class TempRocks {
 public:
  std::filesystem::path directory() const { return temp_.path() / "table"; }
  std::unique_ptr<RocksTable> Open() const { return OpenAt(directory()); }

  // What another process finds after this one was killed: the files as they are now, while the table is open.
  std::unique_ptr<RocksTable> OpenAsAfterACrash() const {
    const std::filesystem::path copy = temp_.path() / "copy";
    std::filesystem::remove_all(copy);
    std::filesystem::copy(directory(), copy, std::filesystem::copy_options::recursive);
    return OpenAt(copy);
  }

 private:
  static std::unique_ptr<RocksTable> OpenAt(const std::filesystem::path& directory) {
    auto table = RocksTable::Open(directory);
    EXPECT_THAT(table.status(), base::IsOk());
    return table.ok() ? *std::move(table) : nullptr;
  }

  base::TempDir temp_;
};

}  // namespace larder::tracker
