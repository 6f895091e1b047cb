#pragma once

namespace larder::cli {

// The whole of `larder`: parses, runs one verb, reports. Returns the exit code. Owns the process: call it from main,
// before there are threads.
int Run(int argc, char** argv);

}  // namespace larder::cli
