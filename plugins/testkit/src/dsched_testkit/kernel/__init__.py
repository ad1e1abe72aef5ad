"""Virtual processes: the production code on a store in memory, in a time of its own.

The simulation, the sweep and the users' cluster start, freeze and kill the processes of this
package, and so do the tests of the engine. They decide what goes wrong, and when.
"""
