"""Structures and labels as AiiDA nodes: conversion, search for duplicates, curation."""
