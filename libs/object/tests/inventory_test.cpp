#include "larder/object/inventory.h"

#include <gtest/gtest.h>

namespace larder::object {
namespace {

// The table of docs/formats/inventory.md.
TEST(Inventory, SumsAreThoseOfThePage) {
  EXPECT_EQ(InventoryBucket({1}), 145);
  EXPECT_EQ(InventoryBucket({1'000'000}), 104);
  EXPECT_EQ(InventoryHash({{1}, {2}}, false), 0xe68e6fc01df08360);
  EXPECT_EQ(InventoryHash({{1}, {2}}, true), 0xb815246f417cade2);
  EXPECT_EQ(InventoryHash({{1'000'000}, {999'999}}, false), 0x58cd7f350934d75b);
}

}  // namespace
}  // namespace larder::object
