#include "larder/object/inventory.h"

namespace larder::object {
namespace {

// A step of SplitMix64 (Steele, Lea and Flood, 2014).
uint64_t Mix(uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
  value = (value ^ value >> 27) * 0x94d049bb133111eb;
  return value ^ value >> 31;
}

}  // namespace

uint8_t InventoryBucket(BlobId blob) { return static_cast<uint8_t>(Mix(blob.value) >> 56); }

uint64_t InventoryHash(const TrackedAs& copy, bool staged) {
  return Mix(Mix(Mix(copy.blob.value) ^ copy.epoch.value) ^ (staged ? 1 : 0));
}

}  // namespace larder::object
