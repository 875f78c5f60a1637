package pod

import "time"

// Unmeasured is the value of a statistic that this host does not keep.
const Unmeasured = -1

// CgroupStats is what a cgroup, with everything below it, used and met. A part
// that the host has no controller for is nil; a number that it does not keep
// is Unmeasured.
type CgroupStats struct {
	CPU      *CPUStats
	Memory   *MemoryStats
	PIDs     *PIDStats
	IO       []DeviceStats // sorted by device; nil where it is not counted
	Pressure *PressureStats
}

// CPUStats is processor time since the cgroup was made.
type CPUStats struct {
	Total time.Duration
	// User and System are parts of Total; Unmeasured where they are not told
	// apart.
	User, System time.Duration
	// Periods counts the periods in which a CPU quota applied, Throttled
	// those in which it was used up, ThrottledTime how long tasks waited.
	Periods, Throttled int64
	ThrottledTime      time.Duration
}

// MemoryStats is in bytes, and in numbers of events since the cgroup was made.
type MemoryStats struct {
	// Usage is all that is charged; WorkingSet what can't be given back:
	// Usage less inactive page cache.
	Usage, WorkingSet int64
	// RSS is anonymous memory, Cache page cache, Mapped the part of it that is
	// mapped, Kernel what the kernel holds for the cgroup.
	RSS, Cache, Swap, Mapped, Kernel int64
	// Peak is the most that Usage ever was.
	Peak                               int64
	ActiveFile, InactiveFile, Dirty    int64
	PageFaults, MajorFaults            int64
	OwnPageFaults, OwnMajorFaults      int64 // without the cgroups below
	OOMKills                           int64 // processes killed
	LimitHits                          int64 // times the limit was reached
	HighEvents                         int64 // times it was throttled for memory.high
	RefaultFile, RefaultAnon, PageScan int64
}

// PIDStats counts tasks, threads included.
type PIDStats struct {
	Current int64
	// Max is the limit, Unmeasured for none.
	Max int64
	// LimitHits counts the tasks that a limit kept from beginning.
	LimitHits int64
}

// DeviceStats is what was read from and written to a block device.
type DeviceStats struct {
	// Device is /dev/NAME, or MAJOR:MINOR where the name is not known.
	Device                string
	ReadBytes, WriteBytes int64
	Reads, Writes         int64
}

// PressureStats is how long tasks were held up for want of a resource.
type PressureStats struct{ CPU, Memory, IO StallStats }

// StallStats is time since the cgroup was made: Some in which at least one
// task waited, Full in which all did.
type StallStats struct{ Some, Full time.Duration }

// ProcessStats is what the processes of a container hold open.
type ProcessStats struct {
	Processes, FileDescriptors, Sockets int64
}

// InterfaceStats is what went over one interface of a pod since it was made.
type InterfaceStats struct {
	Name              string
	Receive, Transmit TrafficStats
}

// TrafficStats is one direction of an interface.
type TrafficStats struct{ Bytes, Packets, Errors, Dropped int64 }

// NodeStats is what the whole server uses, pods or not.
type NodeStats struct {
	CPU time.Duration
	// WorkingSet is memory that is neither free nor inactive page cache, in
	// bytes; Swap the size of the swap space.
	WorkingSet, Swap int64
}

// FilesystemStats is a file system that pods write to, in bytes and numbers.
type FilesystemStats struct {
	// Device is what is mounted, such as /dev/vda1.
	Device                             string
	Size, Available, Inodes, InodeFree int64
}

// DiskStats is what a pod instance takes on disk, in bytes.
type DiskStats struct {
	// Layers and Logs are by container: its writable layer and its logs.
	Layers, Logs map[string]int64
	// Volumes are by name.
	Volumes map[string]int64
}
