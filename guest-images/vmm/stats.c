// SPDX-License-Identifier: GPL-2.0-only
/* KVM's binary statistics: Documentation/virt/kvm/api.rst, KVM_GET_STATS_FD. */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ktap.h"
#include "vmm.h"

static void read_at(int fd, void *into, size_t size, off_t offset)
{
	if (pread(fd, into, size, offset) != (ssize_t)size)
		bail_out("reading KVM's statistics");
}

uint64_t stat_of(int fd, const char *name)
{
	int stats = ioctl(fd, KVM_GET_STATS_FD, NULL);
	struct kvm_stats_header header;
	struct kvm_stats_desc *desc;
	uint64_t value = 0;
	size_t size;

	if (stats < 0)
		bail_out("KVM_GET_STATS_FD");
	read_at(stats, &header, sizeof(header), 0);
	size = sizeof(*desc) + header.name_size;
	desc = malloc(size);
	if (!desc)
		bail_out("allocating a statistics descriptor");
	for (uint32_t i = 0; i < header.num_desc; i++) {
		read_at(stats, desc, size, header.desc_offset + i * size);
		if (!strcmp(desc->name, name))
			read_at(stats, &value, sizeof(value),
				header.data_offset + desc->offset);
	}
	free(desc);
	close(stats);
	return value;
}

uint64_t vm_stat(const struct vm *vm, const char *name)
{
	return stat_of(vm->fd, name);
}

uint64_t vcpus_stat(const struct vm *vm, const char *name)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < vm->nvcpus; i++)
		sum += stat_of(vm->vcpus[i].fd, name);
	return sum;
}
