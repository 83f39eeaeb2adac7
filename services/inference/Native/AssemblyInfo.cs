using System.Runtime.CompilerServices;

// With marshalling off, the structs below cross the border as they are: a bool field is one byte, nothing is copied or pinned.
[assembly: DisableRuntimeMarshalling]
