#include <cstdio>

#include "larder/backends/register_all.h"

int main() {
  larder::object::BackendRegistry registry("backend");
  larder::backends::RegisterAll(registry);
  for (const std::string& name : registry.Names()) std::puts(name.c_str());
}
