using System.Runtime.Versioning;

// File modes, signals and /proc: what these tests are about exists on Linux.
[assembly: SupportedOSPlatform("linux")]
