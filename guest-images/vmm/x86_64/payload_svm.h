/* SPDX-License-Identifier: GPL-2.0-only */
/* L2's code as a hypervisor, and its entry points. */
#ifndef PAYLOAD_SVM_H
#define PAYLOAD_SVM_H

extern const char svm_start[], svm_end[];
extern const char svm_run[], svm_save[], svm_load[];
extern const char svm_vectors[];
/* L3's, while L2 is a hypervisor. */
extern const char svm_pause[];

#endif /* PAYLOAD_SVM_H */
