/*
 * Which pages of a cVM execute: sorted disjoint ranges, under mem_lock. Kept so that new code can be checked together
 * with its neighbours (a forbidden sequence must not arise across a mapping boundary) and moved code be refused.
 */
#include "monitor/monitor.h"

#define PAGE_OF(c, addr) ((uint32_t)page_of(c, addr))

/* Index of the first range that ends behind `page`. */
static uint32_t find(const struct cvm *c, uint32_t page)
{
	uint32_t low = 0, high = c->exec_count;

	while (low < high) {
		uint32_t mid = (low + high) / 2;
		if (c->exec[mid].end > page)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

bool exec_ranges_has(const struct cvm *c, uint64_t addr, uint64_t size)
{
	uint32_t first = PAGE_OF(c, addr), end = first + (uint32_t)(size / CVM_PAGE_SIZE);
	uint32_t i = find(c, first);

	return i < c->exec_count && c->exec[i].start < end;
}

static void remove_at(struct cvm *c, uint32_t i)
{
	memmove(&c->exec[i], &c->exec[i + 1], (c->exec_count - i - 1) * sizeof c->exec[0]);
	c->exec_count--;
}

static void insert_at(struct cvm *c, uint32_t i, uint32_t start, uint32_t end)
{
	memmove(&c->exec[i + 1], &c->exec[i], (c->exec_count - i) * sizeof c->exec[0]);
	c->exec[i] = (struct exec_range){ start, end };
	c->exec_count++;
}

/* Splitting a range needs an entry. When the table is full, what would be the new range stops being executable. */
void exec_ranges_remove(struct cvm *c, uint64_t addr, uint64_t size)
{
	uint32_t first = PAGE_OF(c, addr), end = first + (uint32_t)(size / CVM_PAGE_SIZE);

	for (uint32_t i = find(c, first); i < c->exec_count && c->exec[i].start < end;) {
		struct exec_range *r = &c->exec[i];
		if (r->start < first && r->end > end) {
			uint32_t tail = r->end;
			r->end = first;
			if (c->exec_count < EXEC_RANGES_MAX)
				insert_at(c, i + 1, end, tail);
			else
				domain_assign(c, page_address(c, end), (tail - end) * CVM_PAGE_SIZE, 1 /* PROT_READ */);
			return;
		}
		if (r->start < first)
			r->end = first, i++;
		else if (r->end > end)
			r->start = end, i++;
		else
			remove_at(c, i);
	}
}

int exec_ranges_add(struct cvm *c, uint64_t addr, uint64_t size)
{
	uint32_t first = PAGE_OF(c, addr), end = first + (uint32_t)(size / CVM_PAGE_SIZE);

	exec_ranges_remove(c, addr, size);
	if (c->exec_count >= EXEC_RANGES_MAX / 2)
		return -ENOMEM_;
	insert_at(c, find(c, first), first, end);
	return 0;
}
